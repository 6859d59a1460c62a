"""What is fuzzed: readers of files, with seeds, and what of a file can be changed beneath its compression."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from damage import CASES, Part

from fuzz import seeds
from gsplat_core.errors import GsplatError

LARGEST_IMAGE = 1 << 22  # pixels; more are allowed, and slow


@dataclass(frozen=True)
class Target:
    """A reader.

    Args:
        file: name of the file that is written and read; its ending tells the reader what it is.
        read: reads it, in a folder of its own.
        seeds: files to begin with.
        parts: of a file, for changes beneath compression and checksums; see `damage.Case`.
    """

    file: str
    read: Callable[[Path], object]
    seeds: Callable[[], list[bytes]]
    parts: Callable[[bytes], list[Part]] | None = None


def _splats(*cases: str) -> Target:
    """Splat files of one ending; what of them can be changed is found out by trying."""
    from gsplat_core.io import load

    def parts(content: bytes) -> list[Part]:
        for case in cases:
            with contextlib.suppress(Exception):  # damaged, or another of these cases
                return CASES[case].parts(content)
        return []

    return Target(CASES[cases[0]].name, load, lambda: seeds.splats(*cases), parts)


def _frame(path: Path) -> object:
    """A frame of a sequence; the one before it is whole."""
    from gsplat_core.io import load

    for name, content in seeds.frames()[0].items():
        (path.parent / name).write_bytes(content)
    return load(path)


def _points(path: Path) -> object:
    from gsplat_core.scene.point_ply import read_point_ply

    return read_point_ply(path, [])


def _colmap(file: str) -> Target:
    """One file of a model whose others are whole."""

    def read(path: Path) -> object:
        from gsplat_core.scene.colmap import read_model

        for name, content in seeds.colmap(file).items():
            if name != path.name:
                (path.parent / name).write_bytes(content)
        return read_model(path.parent)

    return Target(file, read, lambda: [seeds.colmap(file)[file]])


def _transforms(path: Path) -> object:
    from gsplat_core.scene.transforms import read_transforms

    for name, content in seeds.photographs().items():
        if not (path.parent / name).exists():
            (path.parent / name).write_bytes(content)
    return read_transforms(path)


def _import(program: str) -> Callable[[Path], object]:
    """What a program exported, beside photographs."""

    def read(path: Path) -> object:
        from gsplat_core.scene.imports.registry import IMPORTS

        for name, content in seeds.photographs().items():
            if not (path.parent / name).exists():
                (path.parent / name).write_bytes(content)
        found = next(known for known in IMPORTS if known.program == program)
        (path.parent / "images").mkdir(exist_ok=True)
        return found.read(path.parent if path.suffix in (".json", ".xmp") else path, False)

    return read


def _photograph(path: Path) -> object:
    from gsplat_core.scene.images import decode, read_header

    header = read_header(path)
    if header.width * header.height > LARGEST_IMAGE:
        return header
    return decode(path, "keep", exif_rotate=True)


def _mask(path: Path) -> object:
    from gsplat_core.scene.images import read_header
    from gsplat_core.scene.masks import read_mask

    header = read_header(path)
    return header if header.width * header.height > LARGEST_IMAGE else read_mask(path, 8, 6)


def _checkpoint(path: Path) -> object:
    """The state and, behind a zero, the tensors; hashes fit."""
    from trainers.checkpoint import FORMAT, read_checkpoint

    text, _, tensors = path.read_bytes().partition(b"\0")
    with contextlib.suppress(ValueError, RecursionError):
        manifest = {
            "format": FORMAT, "version": "0", "step": 1,
            "tensors_sha256": hashlib.sha256(tensors).hexdigest(), "state": json.loads(text),
        }  # fmt: skip
        whole = json.dumps(manifest, sort_keys=True)
        digest = hashlib.sha256(whole.encode()).hexdigest()
        text = json.dumps({"sha256": digest, **manifest}).encode()
    file = path.with_name("step_00000001.json")
    file.write_bytes(text)
    file.with_suffix(".safetensors").write_bytes(tensors)
    return read_checkpoint(file)


def _config(path: Path) -> object:
    from trainers.config import read_config

    return read_config(path)


def _metrics(path: Path) -> object:
    from trainers.run_folder import RunFolder

    return RunFolder(path.parent).read_metrics()


def _history(path: Path) -> object:
    from trainers.history import read_history

    return read_history(path)


def _safetensors(content: bytes) -> list[Part]:
    """State, header (with its length set right) and numbers of what `_checkpoint` reads."""
    state, _, tensors = content.partition(b"\0")
    end = 8 + int.from_bytes(tensors[:8], "little")
    header, numbers = tensors[8:end], tensors[end:]
    return [
        (state, lambda new: new + b"\0" + tensors),
        (header, lambda new: state + b"\0" + struct.pack("<Q", len(new)) + new + numbers),
    ]


TARGETS = {
    "ply": _splats("ply", "ply with a head"),
    "compressed_ply": _splats("compressed.ply"),
    "spz": _splats("spz 4", "spz 3", "spz 2"),
    "sog": _splats("sog"),
    "html": _splats("html"),
    "splat": _splats("splat"),
    "ksplat": _splats("ksplat", "ksplat in buckets"),
    "glb": _splats("glb"),
    "gltf": _splats("gltf"),
    "gsz": _splats("gsz scalar", "gsz grid", "gsz vq", "gsz eagles", "gsz of trees"),
    "gsz_of_a_frame": Target("a.gsz", _frame, lambda: seeds.frames()[1], CASES["gsz of a frame"].parts),
    "point_ply": Target("points3D.ply", _points, seeds.point_clouds),
    **{f"colmap_{name.replace('.', '_').lower()}": _colmap(name) for name in seeds.COLMAP_FILES},
    "transforms": Target("transforms.json", _transforms, seeds.transforms),
    "metashape": Target("cameras.xml", _import("Metashape"), seeds.metashape),
    "realitycapture": Target("cameras.csv", _import("RealityCapture"), seeds.realitycapture),
    "realitycapture_xmp": Target("a.xmp", _import("RealityCapture"), seeds.realitycapture_xmp),
    "photograph": Target("photograph", _photograph, lambda: list(seeds.photographs().values())),
    "mask": Target("mask.png", _mask, lambda: list(seeds.photographs().values())),
    "checkpoint": Target("checkpoint", _checkpoint, seeds.checkpoints, _safetensors),
    "config": Target("config.json", _config, seeds.configs),
    "metrics": Target("metrics.json", _metrics, seeds.metrics),
    "history": Target("history.jsonl", _history, seeds.histories),
}


def attempt(target: Target, content: bytes, folder: Path | None = None) -> bool:
    """Whether a file with this content can be read.

    Args:
        folder: where to write it; one of its own, which is removed, if None.

    Raises:
        Exception: the reader raised something that is no error of this program's: a finding.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as own:
            return attempt(target, content, Path(own))
    path = folder / target.file
    path.write_bytes(content)
    try:
        target.read(path)
    except GsplatError:
        return False
    return True
