"""Where a camera sees points and where its pixels look, in float64 on the CPU: for what is done with cameras
besides rendering, such as finding the points that a photograph shows.

The formulas are those of ``csrc/math/camera``, and their inverses. Depth is what the rasterizer has for it:
z, but the distance for lenses that see beside themselves. A new model is one class and one line of
``OPTICS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.lens import OPENCV_THIN_PRISM, Lens

Matrix = npt.NDArray[np.float64]


class Optics(Protocol):
    """A camera without its pose. Points are in camera space."""

    def depths(self, points: Matrix) -> Matrix:
        """[N] of points [N, 3]; not positive where the camera cannot see."""

    def pixels(self, points: Matrix) -> Matrix:
        """[N, 2] of points [N, 3]; NaN for those that no pixel shows, be it outside the image."""

    def rays(self, pixels: Matrix) -> Matrix:
        """[N, 3] directions in which pixels [N, 2] look, each as long as to have the depth 1; NaN for pixels
        that show nothing."""


@dataclass(frozen=True, eq=False)
class Pinhole:
    K: Matrix

    def depths(self, points: Matrix) -> Matrix:
        depths: Matrix = points[:, 2]
        return depths

    def pixels(self, points: Matrix) -> Matrix:
        with np.errstate(all="ignore"):
            pixels: Matrix = (points @ self.K.T)[:, :2] / np.where(points[:, 2:] > 0, points[:, 2:], np.nan)
        return pixels

    def rays(self, pixels: Matrix) -> Matrix:
        rays: Matrix = np.column_stack([pixels, np.ones(len(pixels))]) @ np.linalg.inv(self.K).T
        return rays


@dataclass(frozen=True, eq=False)
class Opencv:
    """``csrc/math/camera/opencv.h``"""

    K: Matrix
    coefficients: tuple[float, ...]

    def depths(self, points: Matrix) -> Matrix:
        depths: Matrix = points[:, 2]
        return depths

    def pixels(self, points: Matrix) -> Matrix:
        lens = self._lens
        with np.errstate(all="ignore"):
            slopes = points[:, :2] / np.where(points[:, 2:] > 0, points[:, 2:], np.nan)
            good = np.hypot(slopes[:, 0], slopes[:, 1]) < _steepest(self.coefficients)
            good &= np.linalg.det(lens.jacobian(slopes)) > 0
            return np.where(good[:, None], lens.distort(slopes), np.nan)

    def rays(self, pixels: Matrix) -> Matrix:
        slopes = self._lens.undistort(pixels)
        slopes[np.hypot(slopes[:, 0], slopes[:, 1]) >= _steepest(self.coefficients)] = np.nan
        return np.column_stack([slopes, np.where(np.isfinite(slopes[:, 0]), 1.0, np.nan)])

    @property
    def _lens(self) -> Lens:
        (fx, _, cx), (_, fy, cy), _ = np.asarray(self.K).tolist()
        return Lens(OPENCV_THIN_PRISM, 1, 1, (fx, fy), (cx, cy), self.coefficients)


@lru_cache(maxsize=256)
def _steepest(coefficients: tuple[float, ...]) -> float:
    """The radius, as a slope, up to which the radial part of the distortion rises and has no pole."""
    k1, k2, _, _, k3, k4, k5, k6, *_ = coefficients
    r = np.tan(np.linspace(0, np.pi / 2, 20_001)[:-1])
    s = r * r
    denominator = np.polyval([k6, k5, k4, 1.0], s)
    with np.errstate(all="ignore"):
        distorted = r * np.polyval([k3, k2, k1, 1.0], s) / denominator
    bad = ~((denominator[1:] > 0) & (np.diff(distorted) > 0))
    return float(r[bad.argmax()]) if bad.any() else np.inf


@dataclass(frozen=True, eq=False)
class Fisheye:
    """``csrc/math/camera/fisheye.h``"""

    K: Matrix
    coefficients: tuple[float, ...]

    def depths(self, points: Matrix) -> Matrix:
        depths: Matrix = np.linalg.norm(points, axis=1)
        return depths

    def pixels(self, points: Matrix) -> Matrix:
        radius = np.hypot(points[:, 0], points[:, 1])
        angle = np.arctan2(radius, points[:, 2])
        angle[~(angle < _widest(self.coefficients))] = np.nan
        unit = points[:, :2] / np.maximum(radius, 1e-300)[:, None]
        slopes = unit * _bent(angle, self.coefficients)[:, None]
        pixels: Matrix = slopes * np.diag(self.K)[:2] + self.K[:2, 2]
        return pixels

    def rays(self, pixels: Matrix) -> Matrix:
        slopes = (pixels - self.K[:2, 2]) / np.diag(self.K)[:2]
        radius = np.hypot(slopes[:, 0], slopes[:, 1])
        widest = _widest(self.coefficients)
        low, high = np.zeros(len(pixels)), np.full(len(pixels), widest)
        for _ in range(54):  # halving: it rises up to there
            middle = (low + high) / 2
            short = _bent(middle, self.coefficients) < radius
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        angle = np.where(radius < _bent(np.array(widest), self.coefficients), (low + high) / 2, np.nan)
        unit = slopes / np.maximum(radius, 1e-300)[:, None]
        return np.column_stack([unit * np.sin(angle)[:, None], np.cos(angle)])


def _bent(angle: Matrix, coefficients: Sequence[float]) -> Matrix:
    """How far from the principal point a ray at an angle from the axis appears, in focal lengths."""
    bent: Matrix = angle * np.polyval([*coefficients[::-1], 1.0], angle * angle)
    return bent


@lru_cache(maxsize=256)
def _widest(coefficients: tuple[float, ...]) -> float:
    """The angle up to which that rises; 170 degrees at most."""
    angles = np.linspace(0, np.radians(170), 10_001)
    falls = np.diff(_bent(angles, coefficients)) <= 0
    return float(angles[falls.argmax()] if falls.any() else angles[-1])


@dataclass(frozen=True, eq=False)
class Equirectangular:
    """``csrc/math/camera/equirectangular.h``"""

    K: Matrix

    def depths(self, points: Matrix) -> Matrix:
        depths: Matrix = np.linalg.norm(points, axis=1)
        return depths

    def pixels(self, points: Matrix) -> Matrix:
        x, y, z = points.T
        angles = np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], axis=1)
        pixels: Matrix = angles * np.diag(self.K)[:2] + self.K[:2, 2]
        return pixels

    def rays(self, pixels: Matrix) -> Matrix:
        longitude, latitude = ((pixels - self.K[:2, 2]) / np.diag(self.K)[:2]).T
        level = np.cos(latitude)
        return np.stack([level * np.sin(longitude), np.sin(latitude), level * np.cos(longitude)], axis=1)


OPTICS: dict[str, Callable[[Matrix, tuple[float, ...]], Optics]] = {
    "pinhole": lambda K, _: Pinhole(K),
    "opencv": Opencv,
    "fisheye": Fisheye,
    "equirectangular": lambda K, _: Equirectangular(K),
}
"""Of the models of `gsplat_core.render.variants.CAMERAS` whose rays all come from one place."""


def optics(model: str, K: Any, lens: Sequence[float] = ()) -> Optics:
    """The camera with this model, its matrix of intrinsics [3, 3] and its further coefficients.

    Raises:
        ValueError: its rays do not come from one place, or are not known.
    """
    if model not in OPTICS:
        raise ValueError(f"where the pixels of a camera of the model {model!r} look is not known")
    return OPTICS[model](np.asarray(K, np.float64), tuple(map(float, lens)))


def optics_of(camera: Camera) -> Optics:
    """That of a posed camera."""
    return optics(camera.model, camera.K, camera.lens)


def has_blind_pixels(camera: Camera) -> bool:
    """Whether no ray reaches some pixels of a camera's images: if so, then some at the border, since what a
    lens sees is around its axis."""
    if camera.model in ("pinhole", "equirectangular") or camera.model not in OPTICS:
        return False
    numbers = tuple(np.asarray(camera.K, np.float64).ravel().tolist())
    return _has_blind_pixels(camera.model, numbers, camera.lens, camera.width, camera.height)


@lru_cache(maxsize=256)
def _has_blind_pixels(
    model: str, K: tuple[float, ...], lens: tuple[float, ...], width: int, height: int
) -> bool:
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    columns = np.concatenate([x, x, np.full(height, x[0]), np.full(height, x[-1])])
    rows = np.concatenate([np.full(width, y[0]), np.full(width, y[-1]), y, y])
    rays = optics(model, np.reshape(K, (3, 3)), lens).rays(np.stack([columns, rows], axis=1))
    return not np.isfinite(rays).all()


def lit_pixels(camera: Camera) -> npt.NDArray[np.bool_]:
    """[H, W] which pixels of a camera's images a ray reaches."""
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = optics_of(camera).rays(np.stack([x.ravel(), y.ravel()], axis=1))
    lit: npt.NDArray[np.bool_] = np.isfinite(rays[:, 0]).reshape(camera.height, camera.width)
    return lit


def camera_of(lens: Lens) -> tuple[str, tuple[float, ...]] | None:
    """The model of the rasterizer, with its coefficients, that is the same as a lens; None if there is
    none."""
    if lens.is_pinhole or lens.is_panorama:
        return ("pinhole" if lens.is_pinhole else "equirectangular"), ()
    given = dict(zip(lens.model.params[lens.model.num_focals + 2 :], lens.coefficients, strict=True))
    given = {("k1" if name == "k" else name): value for name, value in given.items() if value}
    name = lens.model.name
    if name == "FOV" or (name == "BROWN" and "k4" in given):
        return None  # the angle's tangent; and a fourth radial term has no place in a fraction of cubics
    names = coefficient_names(lens)
    if set(given) - set(names):
        return None  # a thin prism before a fisheye
    return ("fisheye" if names is _FISHEYE else "opencv"), tuple(given.get(name, 0.0) for name in names)


def coefficient_names(lens: Lens) -> tuple[str, ...]:
    """What the coefficients of the rasterizer's model of a lens with distortion are called."""
    return _FISHEYE if lens.model.name.endswith("FISHEYE") else OPENCV_THIN_PRISM.params[4:]


_FISHEYE = ("k1", "k2", "k3", "k4")
