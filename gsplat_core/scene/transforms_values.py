"""Single values of a transforms.json, with errors that give their JSON path."""

from __future__ import annotations

import math
import posixpath
from pathlib import Path
from typing import Any

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap.check import impossible_name, path_leaves_folder


class OutsideError(DataError):
    """A name that leaves the file's folder: never a slip of one record."""


def error(path: Path, place: str, problem: str) -> DataError:
    return DataError(path, problem, place, "Correct it, or export the file again.")


def number(path: Path, place: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise error(path, place, f"must be a number, not {str(value)[:80]!r}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise error(path, place, f"must be finite, not {result}")
    return result


def relative_path(path: Path, place: str, name: str) -> str:
    """A path below the file's folder with plain slashes, `./images\\a.png` as `images/a.png`.

    Raises:
        OutsideError: it is not below the folder.
        DataError: no file can have this name.
    """
    name = name.replace("\\", "/")
    if path_leaves_folder(name):
        raise OutsideError(
            path, f"{name[:200]!r} is not a path below the file's folder", place,
            "Correct it, or export the file again.",
        )  # fmt: skip
    if problem := impossible_name(name):
        raise error(path, place, problem)
    return posixpath.normpath(name)
