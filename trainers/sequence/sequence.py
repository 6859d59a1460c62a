"""Training a moving scene frame by frame: the first one as any scene, each other from the one before it.

Each frame is a run folder of its own, called as the frame, which every command takes: `view`, `render`,
`mesh`, `export`. Beside them lie `stream.json`, what the sequence was made with; `metrics.json`, the
measurements of all frames; and `report.html`, the frames beside each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import export_verified
from gsplat_core.io.links import make_folder, remove
from gsplat_core.strict_json import json_text, parse_json, write_json
from trainers import session
from trainers.background import with_background
from trainers.comparison import Compared, write_comparison
from trainers.config import TrainConfig
from trainers.coordinates import share_coordinates
from trainers.evaluation import mean
from trainers.messages import tell
from trainers.observer import Observer
from trainers.results import write_results
from trainers.run_folder import RunFolder
from trainers.sequence.frames import Frames
from trainers.sequence.motion import MOVED
from trainers.sequence.pieces import Frame, Piece
from trainers.sequence.settings import FrameConfig
from trainers.sources import folder_of, load_photographs, load_scene

STREAM = "stream.json"
FEWEST_COMPARED = 2


def train_sequence(
    frames: Frames,
    output: Path,
    first: TrainConfig,
    settings: FrameConfig,
    console: Console,
    pieces: Sequence[Piece] = (),
    resume: bool = False,
    overwrite: bool = False,
    observers: Callable[[], Sequence[Observer]] = tuple,
) -> dict[str, Any]:
    """Trains all frames and returns what metrics.json of the sequence says.

    Args:
        output: the folder to write.
        first: how the first frame is trained, but for its data.
        settings: the budget of the others.
        pieces: asked in their order before and after each frame.
        resume: frames that are finished stay as they are, and the one that is not goes on from its newest
            checkpoint.
        overwrite: replace the sequence that is in the folder.
        observers: makes those who watch the training of a frame.

    Raises:
        UsageError: the folder holds another sequence.
        DataError, ResourceError, NumericalError, Interrupted: as of `session.train`.
    """
    later = settings.of_frame(first)
    told: dict[str, Any] = {
        "frames": list(frames.folders),
        "first": replace(first, data="", device="auto").to_json(),
        "settings": asdict(settings),
    }
    for piece in pieces:
        told |= piece.told()
    _begin(output, parse_json(json_text(told)), resume, overwrite)
    runs = {name: RunFolder(output / name) for name in frames.folders}
    if overwrite:
        for run in runs.values():
            run.remove_results()
            remove(run.path / MOVED)
    previous: str | None = None
    for number, (name, images) in enumerate(frames.folders.items()):
        before = None if previous is None else runs[previous]
        frame = Frame(number, name, runs[name], before, previous, note=lambda text: tell(console, text))
        previous = name
        if frame.run.metrics.exists():
            continue
        tell(console, f"frame {number + 1} of {len(runs)}: {name}")
        config = first if before is None else replace(later, start=str(before.path.resolve()))
        config = replace(
            config, data=str(frames.data.resolve()), images=folder_of(frames.data, images.resolve())
        )
        make_folder(frame.run.path)
        for piece in pieces:
            config = piece.prepared(frame, config)
        if before is not None and not settings.steps:
            _as_it_is(frame, config)
        else:
            session.train(config, frame.run, console, resume=resume, overwrite=True, observers=observers())
        remove(frame.run.checkpoints)  # nothing goes on from them
        for piece in pieces:
            piece.finished(frame)
        _write_summary(output, runs)
    return _write_summary(output, runs)


def _begin(output: Path, told: dict[str, Any], resume: bool, overwrite: bool) -> None:
    """Writes what the sequence is made with, or checks that it is the same."""
    path = output / STREAM
    if not path.exists() and not overwrite:
        for name in told["frames"]:
            if RunFolder(output / name).exists:
                raise UsageError(
                    f"{output / name} holds a run of something else. Choose another folder with -o."
                )
    if path.exists() and not overwrite:
        if not resume:
            raise UsageError(
                f"{output} already holds a sequence. Use --resume to continue it, --overwrite to replace it, "
                "or choose another folder with -o."
            )
        if (old := read_stream(output)) != told:
            differing = [key for key in {**told, **old} if old.get(key) != told.get(key)]
            raise UsageError(
                f"{output} was started with other {', '.join(differing)}. Give the same options to continue "
                "it, or choose another folder with -o."
            )
        return
    make_folder(output)
    write_json(path, told)


def read_stream(output: Path) -> dict[str, Any]:
    """What a sequence was made with.

    Raises:
        DataError: it cannot be read, or this folder is no sequence.
    """
    path = output / STREAM
    try:
        told = parse_json(path.read_bytes())
    except OSError as error:
        raise DataError(output, f"this folder is no sequence: it has no {STREAM}") from error
    except ValueError as error:
        raise DataError(path, f"cannot be read: {error}") from error
    names = told.get("frames") if isinstance(told, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(path, "it does not name the frames of a sequence")
    return told


def frame_of(output: Path, number: int) -> Path:
    """The run of a frame, counted from 0; negative from the end.

    Raises:
        DataError: the folder is no sequence.
        UsageError: it has no such frame.
    """
    names = read_stream(output)["frames"]
    if not -len(names) <= number < len(names):
        raise UsageError(f"--frame must be from 0 to {len(names) - 1}, not {number}: {output} has no other.")
    return output / Path(names[number]).name


def _as_it_is(frame: Frame, config: TrainConfig) -> None:
    """The scene that the frame starts with is its result."""
    dataset = load_photographs(config)
    config = with_background(config, dataset)
    assert config.start is not None
    scene = load_scene(Path(config.start), frame.note).detached().to(session.choose_device(config.device))
    share_coordinates(dataset, scene)
    with frame.run.owned(), frame.run.crash_reports():
        write_json(frame.run.config, config.to_json())
        export_verified(frame.run.point_cloud, scene)
        write_results(frame.run, config, dataset, scene, {"steps": 0})


def _write_summary(output: Path, runs: dict[str, RunFolder]) -> dict[str, Any]:
    """Measurements of the frames that are finished, and their means."""
    entries = []
    for name, run in runs.items():
        if not (metrics := run.read_metrics()):
            break
        kept = ("psnr", "ssim", "num_gaussians", "steps", "train_seconds", "split")
        entries.append({"name": name, **{key: metrics[key] for key in kept if key in metrics}})
    if not entries:
        return {}
    summary = {
        "psnr": mean(entry["psnr"] for entry in entries),
        "ssim": mean(entry["ssim"] for entry in entries),
        "frames": entries,
    }
    write_json(output / "metrics.json", summary)
    if len(entries) >= FEWEST_COMPARED:
        names = [entry["name"] for entry in entries]
        write_comparison(output / "report.html", [Compared.of(runs[name].path, name) for name in names])
    return summary
