"""Paths that the user names, looked at before anything that takes seconds to import."""

from __future__ import annotations

from pathlib import Path

from gsplat_core.errors import DataError
from gsplat_core.sfm.video import is_video


def must_exist(*paths: Path | None) -> None:
    """Raises DataError where there is nothing: whatever else would be said of such a path misleads."""
    for path in paths:
        if path is not None and not path.exists():
            raise DataError(path, "there is no such file or folder", remedy="Check the path.")


def is_run(path: Path) -> bool:
    """Whether a folder is one that `train` or a command like it wrote."""
    return (path / "config.json").is_file()


def splat_file(path: Path) -> Path | None:
    """The file to read splats from, or None for other folders, such as runs."""
    if not path.is_dir():
        return path
    meta = path / "meta.json"
    return meta if meta.exists() and not is_run(path) else None


def must_be_scene(path: Path) -> None:
    """Raises DataError where there is nothing, and for a folder that holds no scene, such as photographs."""
    must_exist(path)
    if path.is_file() or any((path / name).exists() for name in ("config.json", "meta.json")):
        return
    if (path / "stream.json").exists():
        raise DataError(path, "this is a sequence", remedy="Name the run of one of its frames, in it.")
    if any((path / name).exists() for name in ("images", "sparse", "transforms.json")):
        raise DataError(path, "these are photographs, not yet a scene", remedy=f"Train first: train {path}.")
    raise DataError(
        path, "this folder is not a run: it has no config.json", remedy="Name a run or a splat file."
    )


def must_be_photographs(path: Path) -> None:
    """Raises DataError where there is nothing, and for a run or a file that is no video in the place of
    photographs."""
    must_exist(path)
    if path.is_file() and path.suffix != ".json" and not is_video(path):
        raise DataError(
            path, "this is a file, not a folder of photographs or a video", remedy="Name the folder."
        )
    if (path / "config.json").exists() and (path / "checkpoints").exists():
        remedy = f"Name the folder of its photographs; -o {path} --resume continues this run."
        raise DataError(path, "this folder is a run, not one of photographs", remedy=remedy)
