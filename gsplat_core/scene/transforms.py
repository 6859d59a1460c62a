"""Reads transforms.json, the format of instant-ngp and nerfstudio (and of NeRF's synthetic scenes).

Poses are camera-to-world in OpenGL's convention: x right, y up, looking along -z. Intrinsics stand at the top
of the file or in each frame; the frame's count. ``ply_file_path`` is not read: training then starts from
random points.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Matrix, rigid
from gsplat_core.scene.capture import Capture, Shot
from gsplat_core.scene.colmap.check import lens_problem, path_leaves_folder
from gsplat_core.scene.images import read_header
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens

_OPENGL_TO_COLMAP = np.diag([1.0, -1.0, -1.0])
# How far the rotation's columns may be from unit length and right angles; files round to a few digits.
_ROTATION_TOLERANCE = 1e-2
_GUESSED_ENDINGS = ["", ".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG"]


def read_transforms(path: Path, strict: bool = False) -> Capture:
    """The shots of a transforms.json; image names are relative to its folder.

    Raises:
        DataError: not such a file, or a value in it cannot be used; ``place`` is its JSON path.
    """
    root = _parse(path)
    frames = root.get("frames")
    if not isinstance(frames, list) or not frames:
        raise _error(path, "frames", "must be a list with at least one frame")
    warnings: list[str] = []
    if "ply_file_path" in root:
        warnings.append(f"{path}: ply_file_path is not read; training starts from random points.")
    shots: dict[str, Shot] = {}
    for index, frame in enumerate(frames):
        place = f"frames[{index}]"
        if not isinstance(frame, dict):
            raise _error(path, place, "must be an object")
        name = _name(path, place, frame)
        if name in shots:
            warnings.append(f"{path}: {place} names {name!r} a second time and is left out.")
            continue
        viewmat = _viewmat(path, f"{place}.transform_matrix", frame.get("transform_matrix"))
        mask = _mask(path, f"{place}.mask_path", frame.get("mask_path"))
        shots[name] = Shot(name, _Intrinsics(path, root, frame, place).lens(name), viewmat, mask)
    return Capture(path, list(shots.values()), warnings=warnings, image_root=path.parent)


def _parse(path: Path) -> dict[str, Any]:
    try:
        root = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise DataError(
            path, f"is not JSON: {error.msg}", f"line {error.lineno}, column {error.colno}"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(path, "is not JSON: not UTF-8 text", f"byte {error.start}") from error
    except RecursionError as error:
        raise DataError(path, "is not a transforms.json: nested too deeply") from error
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}") from error
    if not isinstance(root, dict):
        raise DataError(path, "must hold a JSON object")
    return root


def _error(path: Path, place: str, problem: str) -> DataError:
    return DataError(path, problem, place, "Correct it, or export the file again.")


def _name(path: Path, place: str, frame: dict[str, Any]) -> str:
    name = frame.get("file_path")
    if not isinstance(name, str) or not name:
        raise _error(path, f"{place}.file_path", "must be the image's path")
    name = name.replace("\\", "/").removeprefix("./")
    if path_leaves_folder(name):
        raise _error(path, f"{place}.file_path", f"{name!r} is not a path below the file's folder")
    return name


def _mask(path: Path, place: str, name: Any) -> Path | None:
    """The file of a frame's mask, where it has one."""
    if name is None or name == "":
        return None
    if not isinstance(name, str):
        raise _error(path, place, f"must be the path of a mask, not {name!r}")
    name = name.replace("\\", "/").removeprefix("./")
    if path_leaves_folder(name):
        raise _error(path, place, f"{name!r} is not a path below the file's folder")
    mask = path.parent / name
    if not mask.is_file():
        raise DataError(
            path, f"there is no mask {name!r}", place, "Put it there, or take the entry out of the file."
        )
    return mask


def _number(path: Path, place: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _error(path, place, f"must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _error(path, place, f"must be finite, not {number}")
    return number


def _viewmat(path: Path, place: str, rows: Any) -> Matrix:
    """[4, 4] world-to-camera in COLMAP's convention."""
    if not isinstance(rows, list) or len(rows) not in (3, 4):
        raise _error(path, place, "must be a matrix of 3 or 4 rows of 4 numbers")
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != 4:
            raise _error(path, f"{place}[{i}]", "must be a row of 4 numbers")
    pose = np.array(
        [[_number(path, f"{place}[{i}][{j}]", x) for j, x in enumerate(row)] for i, row in enumerate(rows)]
    )
    if len(pose) == 4 and not np.allclose(pose[3], [0, 0, 0, 1]):
        raise _error(path, f"{place}[3]", f"must be [0, 0, 0, 1], not {pose[3].tolist()}")
    left, stretch, right = np.linalg.svd(pose[:3, :3])
    if abs(stretch - 1).max() > _ROTATION_TOLERANCE:
        raise _error(
            path, place, f"is not a rotation: it scales by {stretch.max():.4g} and {stretch.min():.4g}"
        )
    if np.linalg.det(left @ right) < 0:
        raise _error(path, place, "is a reflection (negative determinant): one axis has the wrong sign")
    to_camera = (left @ right @ _OPENGL_TO_COLMAP).T
    return rigid(to_camera, -to_camera @ pose[:3, 3])


class _Intrinsics:
    """The intrinsics of one frame: its own values before those of the file."""

    def __init__(self, path: Path, root: dict[str, Any], frame: dict[str, Any], place: str) -> None:
        self.path = path
        self.root = root
        self.frame = frame
        self.place = place

    def get(self, key: str, default: float | None = None) -> float | None:
        if key in self.frame:
            return _number(self.path, f"{self.place}.{key}", self.frame[key])
        if key in self.root:
            return _number(self.path, key, self.root[key])
        return default

    def lens(self, name: str) -> Lens:
        width, height = self._size(name)
        fx = self._focal("fl_x", "camera_angle_x", width)
        fy = self._focal("fl_y", "camera_angle_y", height) or fx
        if not fx or not fy:
            raise _error(
                self.path, self.place, "has no focal length: neither fl_x nor camera_angle_x is given"
            )
        center = (self.get("cx", width / 2), self.get("cy", height / 2))
        model, coefficients = self._distortion()
        params = [fx, fy, *center, *coefficients]
        lens = Lens.from_params(LENS_MODEL_BY_NAME[model], width, height, params)  # type: ignore[arg-type]
        if problem := lens_problem(lens):
            raise _error(self.path, self.place, f"intrinsics that cannot be: {problem}")
        return lens

    def _size(self, name: str) -> tuple[int, int]:
        width, height = self.get("w"), self.get("h")
        if width is None or height is None:
            for ending in _GUESSED_ENDINGS:
                image = self.path.parent / (name + ending)
                if image.is_file():
                    header = read_header(image)
                    return header.width, header.height
            raise _error(
                self.path, self.place, f"w and h are not given, and {name!r} is not there to tell them"
            )
        return round(width), round(height)

    def _focal(self, key: str, angle_key: str, side: int) -> float | None:
        focal = self.get(key)
        if focal is not None:
            return focal
        angle = self.get(angle_key)
        if angle is None:
            return None
        if not 0 < angle < math.pi:
            raise _error(self.path, f"{self.place}, {angle_key}", f"must lie between 0 and pi, not {angle}")
        return side / (2 * math.tan(angle / 2))

    def _distortion(self) -> tuple[str, list[float]]:
        model = self.frame.get("camera_model", self.root.get("camera_model", "OPENCV"))
        k1, k2, k3, k4, p1, p2 = (self.get(key, 0.0) or 0.0 for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
        if self.root.get("is_fisheye") is True or model == "OPENCV_FISHEYE":
            return "OPENCV_FISHEYE", [k1, k2, k3, k4]
        if model in ("PINHOLE", "SIMPLE_PINHOLE"):
            return "PINHOLE", []
        if model in ("OPENCV", "SIMPLE_RADIAL", "RADIAL"):
            return "FULL_OPENCV", [k1, k2, p1, p2, k3, 0.0, 0.0, 0.0]
        raise _error(
            self.path, "camera_model", f"{model!r} is not supported (PINHOLE, OPENCV, OPENCV_FISHEYE are)"
        )
