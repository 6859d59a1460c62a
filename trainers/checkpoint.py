"""The whole state of a run in a pair of files, so that it continues to the bit.

`step_00001000.safetensors` holds the tensors, `step_00001000.json` everything else and the SHA-256 of both.
The JSON is written last and each file is complete before it gets its name: a checkpoint exists when its JSON
exists. Nothing is ever unpickled, and nothing is used before its hash was checked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

import gsplat_core
from gsplat_core.errors import DataError
from gsplat_core.io.atomic import write_text
from gsplat_core.io.links import folder_instead_of_link
from gsplat_core.io.source import file_sha256
from gsplat_core.memory import is_shortage
from gsplat_core.ranges import Range
from gsplat_core.strict_json import parse_json
from trainers.fields import LONGEST, from_json
from trainers.messages import warn
from trainers.tensor_file import write_tensors

FORMAT = 3
KEEP = 2

Tree = Any  # nested dicts and lists of tensors and JSON values


class OtherRunError(DataError):
    """A checkpoint that is sound, and of another run: older ones are, too."""


@dataclass(frozen=True)
class _Manifest:
    format: int
    version: str
    step: Annotated[int, Range(0)]
    tensors_sha256: str
    state: dict[str, Tree]


@dataclass
class Totals:
    """What a run has used up to now, over all its sessions."""

    train_seconds: Annotated[float, Range(0, LONGEST)] = 0.0
    """Wall time of the training steps, without loading, evaluation and checkpoints."""
    cpu_seconds: Annotated[float, Range(0, LONGEST)] = 0.0
    """Processor time of the same, summed over cores."""
    rollbacks: Annotated[int, Range(0)] = 0
    history_position: Annotated[int, Range(0)] = 0


@dataclass(frozen=True)
class Checkpoint:
    path: Path
    """The JSON file."""
    step: int
    state: dict[str, Tree]


def write_checkpoint(
    folder: Path, step: int, state: dict[str, Tree], warn: Callable[[str], None] = warn
) -> Path:
    """Writes the state after `step` steps and removes all but the newest `KEEP` checkpoints.

    Where the folder is a link, one that holds only this checkpoint takes its place.

    Args:
        warn: told of what could not be removed; the next checkpoint tries again.

    Raises:
        ResourceError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    tensors: dict[str, Tensor] = {}
    plain = _take_tensors(state, "", tensors)
    with folder_instead_of_link(folder) as place:
        path = place / f"step_{step:08d}.json"
        digest = write_tensors(path.with_suffix(".safetensors"), tensors)
        manifest = {
            "format": FORMAT,
            "version": gsplat_core.__version__,
            "step": step,
            "tensors_sha256": digest,
            "state": plain,
        }
        write_text(path, json.dumps({"sha256": _manifest_sha256(manifest), **manifest}))
        try:
            for old in checkpoints(place)[:-KEEP]:
                old.unlink()
            remove_orphans(place)
        except OSError as error:
            warn(f"{error.filename or place}: an old checkpoint cannot be removed: {error.strerror}.")
    return folder / path.name


def remove_orphans(folder: Path) -> None:
    """Removes tensors without a manifest: of a checkpoint that was not finished, or not wholly removed.

    Raises:
        OSError: one cannot be removed.
    """
    for tensors in folder.glob("step_*.safetensors"):
        if not tensors.with_suffix(".json").exists():
            tensors.unlink()


def checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a folder, oldest first."""
    return sorted(folder.glob("step_*.json"))


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads and verifies one checkpoint.

    Raises:
        DataError: written by a newer or older version, edited, damaged, incomplete or something else
            altogether.
    """
    tensors_path = path.with_suffix(".safetensors")
    try:
        manifest = parse_json(path.read_bytes())
        sha256 = manifest.pop("sha256")
        number = int(manifest["format"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(path, "this is not a checkpoint", remedy="Use an earlier one.") from error
    if number > FORMAT:
        raise DataError(
            path,
            f"written by version {manifest.get('version')} in format {number}; this one reads {FORMAT}",
            remedy="Update gsplat-core.",
        )
    if number < FORMAT:
        raise DataError(
            path,
            f"written by version {manifest.get('version')} in format {number}; this one reads {FORMAT}",
            remedy="Finish the run with that version, or start it anew.",
        )
    if sha256 != _manifest_sha256(manifest):
        raise DataError(path, "its content does not match its hash", remedy="It was edited or damaged.")
    with _told_of(path):
        content = from_json(_Manifest, manifest)
    if not tensors_path.exists():
        raise DataError(
            tensors_path, "the tensors of this checkpoint are missing", remedy="Use an earlier one."
        )
    if file_sha256(tensors_path).hex() != content.tensors_sha256:
        raise DataError(
            tensors_path, "its content does not match its hash", remedy="It was replaced or damaged."
        )
    with _told_of(path):
        return Checkpoint(path, content.step, _put_tensors(content.state, _load(tensors_path)))


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Whatever goes wrong with what a checkpoint contains is told as an error of the checkpoint.

    Its hash was right, so it was made by other means than by training, or with an error.
    """
    try:
        yield
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RuntimeError,
        SafetensorError,
    ) as error:
        if is_shortage(error):
            raise
        problem = f"its content is not that of a run ({type(error).__name__}: {str(error)[:200]})"
        raise DataError(path, problem, remedy="Use an earlier one.") from error


def newest_checkpoint(
    folder: Path, warn: Callable[[str], None], use: Callable[[Checkpoint], None] = lambda checkpoint: None
) -> Checkpoint | None:
    """The newest usable checkpoint; a damaged newer one is reported through `warn` and left alone.

    Args:
        use: called with each that was read, until one call does not fail: only then it is usable.

    Raises:
        DataError: there are checkpoints but none of them is usable.
        OtherRunError: raised by `use`.
    """
    refused = None
    for path in reversed(checkpoints(folder)):
        try:
            checkpoint = read_checkpoint(path)
            with _told_of(path):
                use(checkpoint)
            return checkpoint
        except OtherRunError:
            raise
        except DataError as error:
            warn(str(error))
            refused = error
    if refused is not None:
        raise refused
    return None


def _take_tensors(tree: Tree, name: str, tensors: dict[str, Tensor]) -> Tree:
    """The tree with each tensor replaced by a reference to its name in `tensors`."""
    if isinstance(tree, Tensor):
        tensors[name] = tree.detach().cpu().contiguous()
        return {"$tensor": name}
    if isinstance(tree, dict):
        return {
            key: _take_tensors(value, f"{name}/{key}".lstrip("/"), tensors) for key, value in tree.items()
        }
    if isinstance(tree, (list, tuple)):
        return [_take_tensors(value, f"{name}/{i}", tensors) for i, value in enumerate(tree)]
    return tree


def _put_tensors(tree: Tree, tensors: dict[str, Tensor]) -> Tree:
    if isinstance(tree, dict):
        if "$tensor" in tree:
            return tensors[tree["$tensor"]]
        return {key: _put_tensors(value, tensors) for key, value in tree.items()}
    return [_put_tensors(value, tensors) for value in tree] if isinstance(tree, list) else tree


def _load(path: Path) -> dict[str, Tensor]:
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:  # safetensors opens no file of such a name
        return safetensors.torch.load(path.read_bytes())
    return safetensors.torch.load_file(path)


def _manifest_sha256(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
