"""Lens models: how a real camera's pixels follow from ideal pinhole coordinates.

Ideal coordinates are (x, y) = (X/Z, Y/Z) of a point in camera space. A lens first distorts them, then the
intrinsics take them to pixels, whose centres are at +0.5. The models, their numbers and the order of their
parameters are COLMAP's (src/colmap/sensor/models.h); the equations are those of Brown (1966) for the radial
and tangential terms, Kannala and Brandt (2006) for the fisheye polynomial, Devernay and Faugeras (2001) for
FOV and Weng, Cohen and Herniou (1992) for the thin prism.

A new model is one function and one row of ``LENS_MODELS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

# Real coordinates, or complex ones where a derivative is wanted (see Lens.jacobian).
Array = npt.NDArray[Any]
Coefficients = Sequence[float]
Distortion = Callable[[Array, Array, Coefficients], tuple[Array, Array]]


def _none(x: Array, y: Array, c: Coefficients) -> tuple[Array, Array]:
    return x, y


def _radial(x: Array, y: Array, c: Coefficients) -> tuple[Array, Array]:
    r2 = x * x + y * y
    factor = 1 + _polynomial(r2, c)
    return x * factor, y * factor


def _opencv(x: Array, y: Array, c: Coefficients) -> tuple[Array, Array]:
    k1, k2, p1, p2 = c
    r2 = x * x + y * y
    return _tangential(x, y, 1 + _polynomial(r2, (k1, k2)), p1, p2)


def _full_opencv(x: Array, y: Array, c: Coefficients) -> tuple[Array, Array]:
    k1, k2, p1, p2, k3, k4, k5, k6 = c
    r2 = x * x + y * y
    factor = (1 + _polynomial(r2, (k1, k2, k3))) / (1 + _polynomial(r2, (k4, k5, k6)))
    return _tangential(x, y, factor, p1, p2)


def _opencv_thin_prism(x: Array, y: Array, c: Coefficients) -> tuple[Array, Array]:
    s1, s2, s3, s4 = c[8:]
    r2 = x * x + y * y
    bent_x, bent_y = _full_opencv(x, y, c[:8])
    return bent_x + _polynomial(r2, (s1, s2)), bent_y + _polynomial(r2, (s3, s4))


def _brown(x: Array, y: Array, c: Coefficients) -> tuple[Array, Array]:
    k1, k2, k3, k4, p1, p2 = c
    return _tangential(x, y, 1 + _polynomial(x * x + y * y, (k1, k2, k3, k4)), p1, p2)


def _fov(x: Array, y: Array, c: Coefficients) -> tuple[Array, Array]:
    # Distorted radius = atan(2 r tan(omega / 2)) / omega.
    (omega,) = c
    if abs(omega) < 1e-9:
        return x, y
    spread = 2 * np.tan(omega / 2)
    factor = spread / omega * _atan_over_radius(spread * spread * (x * x + y * y))
    return x * factor, y * factor


def _fisheye(x: Array, y: Array, c: Coefficients) -> tuple[Array, Array]:
    # Equidistant projection (radius = angle) followed by a polynomial in the angle.
    x, y = _equidistant(x, y)
    return _radial(x, y, c)


def _thin_prism_fisheye(x: Array, y: Array, c: Coefficients) -> tuple[Array, Array]:
    k1, k2, p1, p2, k3, k4, sx1, sy1 = c
    x, y = _equidistant(x, y)
    r2 = x * x + y * y
    bent_x, bent_y = _tangential(x, y, 1 + _polynomial(r2, (k1, k2, k3, k4)), p1, p2)
    return bent_x + sx1 * r2, bent_y + sy1 * r2


def _polynomial(r2: Array, c: Coefficients) -> Array:
    """c[0] r^2 + c[1] r^4 + ..."""
    total = np.zeros_like(r2)
    for k in reversed(c):
        total = (total + k) * r2
    return total


def _tangential(x: Array, y: Array, factor: Array, p1: float, p2: float) -> tuple[Array, Array]:
    r2 = x * x + y * y
    return (
        x * factor + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * factor + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
    )


def _equidistant(x: Array, y: Array) -> tuple[Array, Array]:
    factor = _atan_over_radius(x * x + y * y)
    return x * factor, y * factor


def _atan_over_radius(r2: Array) -> Array:
    """atan(r) / r as a smooth function of r^2; the series ends below double precision where it is used."""
    small = np.abs(r2) < 1e-5
    r = np.sqrt(np.where(small, 1.0, r2))
    return np.where(small, 1 - r2 * (1 / 3 - r2 * (1 / 5 - r2 / 7)), np.arctan(r) / r)


@dataclass(frozen=True)
class LensModel:
    """One row of COLMAP's list of camera models."""

    id: int
    name: str
    params: tuple[str, ...]
    distortion: Distortion

    @property
    def num_focals(self) -> int:
        return 1 if self.params[0] == "f" else 2


LENS_MODELS = [
    LensModel(number, name, tuple(params.split()), distortion)
    for number, name, params, distortion in [
        (0, "SIMPLE_PINHOLE", "f cx cy", _none),
        (1, "PINHOLE", "fx fy cx cy", _none),
        (2, "SIMPLE_RADIAL", "f cx cy k", _radial),
        (3, "RADIAL", "f cx cy k1 k2", _radial),
        (4, "OPENCV", "fx fy cx cy k1 k2 p1 p2", _opencv),
        (5, "OPENCV_FISHEYE", "fx fy cx cy k1 k2 k3 k4", _fisheye),
        (6, "FULL_OPENCV", "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6", _full_opencv),
        (7, "FOV", "fx fy cx cy omega", _fov),
        (8, "SIMPLE_RADIAL_FISHEYE", "f cx cy k", _fisheye),
        (9, "RADIAL_FISHEYE", "f cx cy k1 k2", _fisheye),
        (10, "THIN_PRISM_FISHEYE", "fx fy cx cy k1 k2 p1 p2 k3 k4 sx1 sy1", _thin_prism_fisheye),
    ]
]
LENS_MODEL_BY_ID = {model.id: model for model in LENS_MODELS}
LENS_MODEL_BY_NAME = {model.name: model for model in LENS_MODELS}

# Brown's model with four radial terms, as Metashape and nerfstudio have it. COLMAP has none like it.
BROWN = LensModel(-1, "BROWN", tuple(["fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2"]), _brown)

# OpenCV's largest model but for a tilted sensor, as the rasterizer's camera "opencv" has it.
OPENCV_THIN_PRISM = LensModel(
    -2,
    "OPENCV_THIN_PRISM",
    tuple(["fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4"]),
    _opencv_thin_prism,
)

# A panorama all around: fx and fy are pixels per radian of longitude and latitude. It has no slopes, so it
# cannot be undistorted.
EQUIRECTANGULAR = LensModel(-3, "EQUIRECTANGULAR", ("fx", "fy", "cx", "cy"), _none)

# Models of newer COLMAP versions that are recognised in order to be refused by name.
REFUSED_LENS_MODELS = {
    11: "RAD_TAN_THIN_PRISM_FISHEYE",
    12: "SIMPLE_DIVISION",
    13: "DIVISION",
    14: "SIMPLE_FISHEYE",
    15: "FISHEYE",
    16: "EUCM",
    17: "EQUIRECTANGULAR",
}


@dataclass(frozen=True)
class Lens:
    """Intrinsics and distortion of one physical camera.

    Attributes:
        model: the equations.
        width, height: size of its images in pixels.
        focal: (fx, fy) in pixels.
        center: (cx, cy), the principal point in pixels.
        coefficients: the model's parameters after the principal point, without unit.
    """

    model: LensModel
    width: int
    height: int
    focal: tuple[float, float]
    center: tuple[float, float]
    coefficients: tuple[float, ...]

    @staticmethod
    def from_params(model: LensModel, width: int, height: int, params: Sequence[float]) -> Lens:
        """From COLMAP's flat list of parameters."""
        values = [float(value) for value in params]
        n = model.num_focals
        return Lens(model, width, height, (values[0], values[n - 1]), (values[n], values[n + 1]),
                    tuple(values[n + 2 :]))  # fmt: skip

    @property
    def is_pinhole(self) -> bool:
        """Whether pixels are ideal coordinates times the intrinsics, so that images need no undistortion."""
        if self.model.distortion in (_fisheye, _thin_prism_fisheye) or self.is_panorama:
            return False
        return not any(self.coefficients)

    @property
    def is_panorama(self) -> bool:
        """Whether the image shows what is behind the camera, too, so that no pinhole image can be made of
        it."""
        return self.model.name == EQUIRECTANGULAR.name

    @property
    def K(self) -> Array:
        """[3, 3] intrinsics, distortion left out."""
        (fx, fy), (cx, cy) = self.focal, self.center
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])

    def resized(self, width: int, height: int) -> Lens:
        """The same lens for images of another size. Distortion acts before the focal length, so it stays."""
        x, y = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            focal=(self.focal[0] * x, self.focal[1] * y),
            center=(self.center[0] * x, self.center[1] * y),
        )

    def distort(self, ideal: Array) -> Array:
        """Pixels [..., 2] of ideal coordinates [..., 2]."""
        x, y = self.model.distortion(ideal[..., 0], ideal[..., 1], self.coefficients)
        return np.stack([x, y], axis=-1) * self.focal + self.center

    def jacobian(self, ideal: Array) -> Array:
        """[..., 2, 2] derivative of the distorted coordinates, before the focal length.

        By the complex step: f(x + ih) = f(x) + ih f'(x) to all digits, since nothing is subtracted
        (Squire and Trapp 1998).
        """
        h = 1e-20
        x, y = ideal[..., 0], ideal[..., 1]
        by_x = self.model.distortion(x + 1j * h, y + 0j, self.coefficients)
        by_y = self.model.distortion(x + 0j, y + 1j * h, self.coefficients)
        rows = [np.stack([np.imag(by_x[i]), np.imag(by_y[i])], axis=-1) / h for i in range(2)]
        return np.stack(rows, axis=-2)

    def unfolded(self, ideal: Array) -> npt.NDArray[np.bool_]:
        """[...] whether the lens's image there is the right way round (a positive determinant)."""
        slope = self.jacobian(ideal)
        return slope[..., 0, 0] * slope[..., 1, 1] > slope[..., 0, 1] * slope[..., 1, 0]

    def undistort(self, pixels: Array) -> Array:
        """Ideal coordinates [..., 2] of pixels [..., 2], by Newton's method with step halving.

        NaN where the lens shows nothing there: beyond the radius at which the model folds back, or for rays
        that do not point forward.
        """
        target = ((pixels - self.center) / self.focal).reshape(-1, 2)
        ideal = self._first_guess(target)
        residual = self._residual(ideal, target)
        tolerance = 1e-15 * (1 + _length(target))
        active = np.arange(len(target))
        with np.errstate(all="ignore"):
            for _ in range(60):
                active = active[~(_length(residual[active]) <= tolerance[active])]
                if not len(active):
                    break
                step = _solve(self.jacobian(ideal[active]), residual[active])
                improved = np.zeros(len(active), bool)
                for _ in range(12):
                    candidate = ideal[active] - step
                    moved = self._residual(candidate, target[active])
                    better = ~improved & (_length(moved) < _length(residual[active]))
                    ideal[active[better]] = candidate[better]
                    residual[active[better]] = moved[better]
                    improved |= better
                    if improved.all():
                        break
                    step = step / 2
                active = active[improved]
            solved = self.unfolded(ideal) & (_length(residual) < 1000 * tolerance)
        return np.where(solved[:, None], ideal, np.nan).reshape(pixels.shape)

    def _first_guess(self, target: Array) -> Array:
        if self.model.distortion not in (_fisheye, _thin_prism_fisheye, _fov):
            return target.copy()
        # These lenses show angles: beyond a right angle no ideal coordinates exist.
        angle = np.minimum(_length(target), 1.5)[..., None]
        return target * np.where(angle > 1e-9, np.tan(angle) / np.maximum(angle, 1e-9), 1.0)

    def _residual(self, ideal: Array, target: Array) -> Array:
        x, y = self.model.distortion(ideal[..., 0], ideal[..., 1], self.coefficients)
        return np.stack([x, y], axis=-1) - target


def _length(vectors: Array) -> Array:
    return np.hypot(vectors[..., 0], vectors[..., 1])


def _solve(matrix: Array, vector: Array) -> Array:
    """matrix^-1 vector for stacks of 2 x 2 systems; infinite or NaN where singular."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    x, y = vector[..., 0], vector[..., 1]
    return np.stack([d * x - b * y, a * y - c * x], axis=-1) / (a * d - b * c)[..., None]
