"""Values of files that describe captures, with errors that give their place, such as a JSON path."""

from __future__ import annotations

import json
import math
import posixpath
from pathlib import Path
from typing import Any

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.expansion import check_json
from gsplat_core.scene.cameras import Matrix, rigid
from gsplat_core.scene.colmap.check import impossible_name, path_leaves_folder
from gsplat_core.scene.origin import LARGEST_COORDINATE
from gsplat_core.strict_json import parse_json

OPENGL = np.diag([1.0, -1.0, -1.0])
OPENCV = np.eye(3)
"""What a camera's axes are; `viewmat`."""

# How far the rotation's columns may be from unit length and right angles; files round to a few digits.
_ROTATION_TOLERANCE = 1e-2


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


def number_of(path: Path, place: str, text: str | None) -> float:
    """The number that a text is."""
    if text is None:
        raise error(path, place, "is missing")
    try:
        return number(path, place, float(text))
    except ValueError:
        raise error(path, place, f"must be a number, not {str(text)[:80]!r}") from None


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


def read_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file.

    Raises:
        DataError: it cannot be read, or holds something else.
    """
    try:
        text = path.read_bytes()
        check_json(path, text)
        root = parse_json(text)
    except json.JSONDecodeError as problem:
        raise DataError(
            path, f"is not JSON: {problem.msg}", f"line {problem.lineno}, column {problem.colno}"
        ) from problem
    except ValueError as problem:
        raise DataError(path, f"is not JSON that can be read: {problem}") from problem
    except OSError as problem:
        raise DataError(path, f"cannot be read: {problem.strerror or problem}") from problem
    if not isinstance(root, dict):
        raise DataError(path, "must hold a JSON object")
    return root


def viewmat(path: Path, place: str, rows: Any, axes: Matrix = OPENGL) -> Matrix:
    """[4, 4] world-to-camera in COLMAP's convention, of the rows of a camera-to-world matrix.

    Args:
        axes: OPENGL where its camera has y up and z backward, OPENCV where y is down and z forward.

    Raises:
        DataError: they are no rigid motion.
    """
    if not isinstance(rows, list) or len(rows) not in (3, 4):
        raise error(path, place, "must be a matrix of 3 or 4 rows of 4 numbers")
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 4:
            raise error(path, f"{place}[{i}]", "must be a row of 4 numbers")
    pose = np.array(
        [[number(path, f"{place}[{i}][{j}]", x) for j, x in enumerate(row)] for i, row in enumerate(rows)]
    )
    if len(pose) == 4 and not np.allclose(pose[3], [0, 0, 0, 1]):
        raise error(path, f"{place}[3]", f"must be [0, 0, 0, 1], not {pose[3].tolist()}")
    if np.abs(pose).max() > LARGEST_COORDINATE:
        raise error(path, place, f"has numbers beyond {LARGEST_COORDINATE:g}")
    left, stretch, right = np.linalg.svd(pose[:3, :3])
    if abs(stretch - 1).max() > _ROTATION_TOLERANCE:
        raise error(
            path, place, f"is not a rotation: it scales by {stretch.max():.4g} and {stretch.min():.4g}"
        )
    if np.linalg.det(left @ right) < 0:
        raise error(path, place, "is a reflection (negative determinant): one axis has the wrong sign")
    to_camera = (left @ right @ axes).T
    return rigid(to_camera, -to_camera @ pose[:3, 3])
