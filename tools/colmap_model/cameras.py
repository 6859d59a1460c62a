"""Views of pinhole cameras; x right, y down, z forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Pinhole:
    """A camera with its principal point in the middle."""

    width: int
    height: int
    focal: float

    def project(self, camera_points: Array) -> Array:
        """Pixels [...,2] (the first pixel's centre is at 0.5) of points in camera coordinates [...,3]."""
        return self.focal * camera_points[..., :2] / camera_points[..., 2:] + self._middle

    def rays(self, pixels: Array) -> Array:
        """Directions [N,3] in camera coordinates with z = 1 through pixels [N,2]."""
        return np.column_stack([(pixels - self._middle) / self.focal, np.ones(len(pixels))])

    @property
    def _middle(self) -> Array:
        return np.array([self.width, self.height]) / 2


@dataclass(frozen=True)
class View:
    """One photograph: R [3,3] and t [3] take world to camera coordinates."""

    name: str
    rotation: Array
    translation: Array

    @property
    def centre(self) -> Array:
        return -self.rotation.T @ self.translation

    def to_camera(self, points: Array) -> Array:
        """World [N,3] to camera coordinates [N,3]."""
        return points @ self.rotation.T + self.translation


def look_at(name: str, centre: Array, target: Array, roll: float = 0.0) -> View:
    """A view from `centre` to `target` with the horizon level but for `roll` radians."""
    forward = np.asarray(target, float) - centre
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1] if abs(forward[2]) < 0.99 else [0, 1, 0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    rotation = np.stack([c * right + s * down, c * down - s * right, forward])
    return View(name, rotation, -rotation @ centre)
