"""The lens of a frame of transforms.json.

Camera models are nerfstudio's. All of its perspective ones (SIMPLE_PINHOLE, PINHOLE, SIMPLE_RADIAL, RADIAL,
OPENCV, and none at all) are the same: the factor 1 + k1 r^2 + k2 r^4 + k3 r^6 + k4 r^8, then p1 and p2, as
Metashape and RealityCapture have it; k4 is not in the denominator of OpenCV's rational model, for which
COLMAP's name FULL_OPENCV asks. Coefficients that a model does not have are refused unless they are 0.

EQUIRECTANGULAR is a panorama of the whole sphere, twice as wide as high. Its fl_x, fl_y, cx and cy say
nothing more: nerfstudio has half the width for the first three of them, and half the height.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from gsplat_core.errors import DataError
from gsplat_core.scene.capture_values import error, number
from gsplat_core.scene.colmap.check import lens_problem
from gsplat_core.scene.images import read_header
from gsplat_core.scene.lens import (
    BROWN,
    EQUIRECTANGULAR,
    LENS_MODEL_BY_NAME,
    REFUSED_LENS_MODELS,
    Lens,
    LensModel,
)

_PERSPECTIVE = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
_FISHEYE = ("OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
# The equations of each name; their parameters after the principal point are keys of the file.
_MODELS: dict[str, LensModel] = {
    **dict.fromkeys(_PERSPECTIVE, BROWN),
    **dict.fromkeys(_FISHEYE, LENS_MODEL_BY_NAME["OPENCV_FISHEYE"]),
    **{name: LENS_MODEL_BY_NAME[name] for name in ("FULL_OPENCV", "FOV", "THIN_PRISM_FISHEYE")},
    "EQUIRECTANGULAR": EQUIRECTANGULAR,
}
# Models of nerfstudio that no pinhole image can be made of, or that are not implemented.
_REFUSED = {
    *(name for name in REFUSED_LENS_MODELS.values() if name != "EQUIRECTANGULAR"),
    *("OMNIDIRECTIONALSTEREO_L", "OMNIDIRECTIONALSTEREO_R", "VR180_L", "VR180_R", "ORTHOPHOTO", "FISHEYE624"),
}
# Keys by which programs give distortion: radial, tangential, thin prism, tilt, affinity, and other models.
_DISTORTION_KEY = re.compile(
    r"k\d+|p\d+|s\d+|s[xy]\d*|b\d+|tau_?[xy]|skew|omega|xi|ftheta_\w+|rolling_shutter|distortion\w*"
)
# nerfstudio's list of all coefficients.
_LIST = "distortion_params"
_LIST_KEYS = ("k1", "k2", "k3", "k4", "p1", "p2")
# Of the width: how far from what it must be a number of a panorama may be.
_OFF = 0.01
_UNDISTORT = "Undistort the photographs with the program that made the file, and export it again."


def _as_colmap_has_it(
    k1: float, k2: float, k3: float, k4: float, p1: float, p2: float
) -> tuple[LensModel, list[float]]:
    """Brown's model without a fourth radial term by one of COLMAP's names."""
    if not any((k1, k2, k3, p1, p2)):
        return LENS_MODEL_BY_NAME["PINHOLE"], []
    return LENS_MODEL_BY_NAME["FULL_OPENCV"], [k1, k2, p1, p2, k3, 0.0, 0.0, 0.0]


class Intrinsics:
    """The intrinsics of one frame: its own values before those of the file.

    Args:
        path: the file.
        root: its content.
        frame: the frame's.
        place: the frame's JSON path.
    """

    def __init__(self, path: Path, root: dict[str, Any], frame: dict[str, Any], place: str) -> None:
        self.path = path
        self.root = root
        self.frame = frame
        self.place = place

    def lens(self, image: Path) -> Lens:
        """The lens of the frame's image, whose size counts where the file gives none.

        Raises:
            DataError: values are missing or impossible, or the camera is of a model that cannot be used.
        """
        model, coefficients = self._distortion()
        width, height = self._size(image)
        if model is EQUIRECTANGULAR:
            return self._panorama(width, height)
        fx = self._focal("fl_x", ("camera_angle_x", "x_fov"), width)
        fy = self._focal("fl_y", ("camera_angle_y", "y_fov"), height) or fx
        if not fx or not fy:
            raise error(
                self.path, self.place, "has no focal length: neither fl_x nor camera_angle_x is given"
            )
        center = (self._get("cx", width / 2), self._get("cy", height / 2))
        lens = Lens.from_params(model, width, height, [fx, fy, *center, *coefficients])  # type: ignore[list-item]
        if problem := lens_problem(lens):
            raise error(self.path, self.place, f"intrinsics that cannot be: {problem}")
        return lens

    def _panorama(self, width: int, height: int) -> Lens:
        if abs(width - 2 * height) > _OFF * width:
            raise error(
                self.path,
                self.place,
                f"a panorama all around is twice as wide as high, not {width} x {height}",
            )
        whole = {"fl_x": width / 2, "fl_y": height, "cx": width / 2, "cy": height / 2}
        for key, expected in whole.items():
            found = self._get(key, expected)
            if found is not None and abs(found - expected) > _OFF * width:
                problem = f"must be {expected:g} in a panorama of {width} x {height} pixels, not {found:g}"
                raise error(self.path, self._place(key), problem)
        params = [width / (2 * math.pi), height / math.pi, width / 2, height / 2]
        lens = Lens.from_params(EQUIRECTANGULAR, width, height, params)
        if problem := lens_problem(lens):
            raise error(self.path, self.place, f"intrinsics that cannot be: {problem}")
        return lens

    def _get(self, key: str, default: float | None = None) -> float | None:
        if key in self.frame:
            return number(self.path, f"{self.place}.{key}", self.frame[key])
        if key in self.root:
            return number(self.path, key, self.root[key])
        return default

    def _place(self, key: str) -> str:
        return f"{self.place}.{key}" if key in self.frame else key

    def _size(self, image: Path) -> tuple[int, int]:
        width, height = self._get("w"), self._get("h")
        if width is not None and height is not None:
            return round(width), round(height)
        if not image.is_file():
            raise error(
                self.path, self.place, f"w and h are not given, and {image.name!r} is not there to tell them"
            )
        header = read_header(image)
        return header.width, header.height

    def _focal(self, key: str, angle_keys: tuple[str, str], side: int) -> float | None:
        """In pixels; from an angle in radians (NeRF) or in degrees (instant-ngp) where it is not given."""
        focal = self._get(key)
        if focal is not None:
            return focal
        for angle_key, unit in zip(angle_keys, (1.0, math.pi / 180), strict=True):
            angle = self._get(angle_key)
            if angle is not None:
                if not 0 < angle * unit < math.pi:
                    problem = f"must lie between 0 and {math.pi / unit:.6g}, not {angle}"
                    raise error(self.path, f"{self.place}, {angle_key}", problem)
                return side / (2 * math.tan(angle * unit / 2))
        return None

    def _distortion(self) -> tuple[LensModel, list[float]]:
        name = self._model()
        model = _MODELS[name]
        keys = model.params[4:]
        given = self._coefficients()
        for key, value in given.items():
            if value and key not in keys:
                raise DataError(
                    self.path,
                    f"{key} = {value:g} has no meaning that is known for the camera model {name}",
                    self._place(key if key in {**self.root, **self.frame} else _LIST),
                    f"{_UNDISTORT} It may also be removed, if its effect is small.",
                )
        values = [given.get(key, 0.0) for key in keys]
        if model is BROWN and not given.get("k4"):
            return _as_colmap_has_it(*values)
        return model, values

    def _coefficients(self) -> dict[str, float]:
        """All numbers that describe distortion, by name."""
        found: dict[str, float] = {}
        for key in {**self.root, **self.frame}:
            if key != _LIST and _DISTORTION_KEY.fullmatch(key):
                value = self.frame.get(key, self.root.get(key))
                if isinstance(value, list):  # such as rolling_shutter: only its being 0 matters
                    numbers = [number(self.path, f"{self._place(key)}[{i}]", x) for i, x in enumerate(value)]
                    found[key] = max(map(abs, numbers), default=0.0)
                elif value is not None:
                    found[key] = number(self.path, self._place(key), value)
        values = self.frame.get(_LIST, self.root.get(_LIST))
        if values is not None:
            if not isinstance(values, list) or len(values) != len(_LIST_KEYS):
                raise error(self.path, self._place(_LIST), f"must be the list {', '.join(_LIST_KEYS)}")
            found |= {
                key: number(self.path, f"{self._place(_LIST)}[{i}]", value)
                for i, (key, value) in enumerate(zip(_LIST_KEYS, values, strict=True))
            }
        return found

    def _model(self) -> str:
        name = self.frame.get("camera_model", self.root.get("camera_model", "OPENCV"))
        if self.frame.get("is_fisheye", self.root.get("is_fisheye")) is True:
            name = name if name in _FISHEYE else "OPENCV_FISHEYE"
        if isinstance(name, str) and name.upper() in _MODELS:
            return name.upper()
        known = isinstance(name, str) and name.upper() in _REFUSED
        raise DataError(
            self.path,
            f"{'the camera model ' if known else ''}{str(name)[:80]!r} is not "
            f"{'supported' if known else 'a camera model'} (supported are {', '.join(_MODELS)})",
            self._place("camera_model"),
            _UNDISTORT if known else "Correct it, or export the file again.",
        )
