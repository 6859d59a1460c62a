"""Thirty-six views from three rings around the table, all inwards; x right, y down, z forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WIDTH, HEIGHT, FOCAL = 480, 320, 545.0

# elevation above the table top, distance from the target, height of the target: one row for each ring
RINGS = ((13.0, 2.45, 0.28), (30.0, 2.42, 0.25), (50.0, 2.35, 0.14))
VIEWS_PER_RING = 12


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


def project(camera_points: Array) -> Array:
    """Pixels [N,2] (the first pixel's centre is at 0.5) of points in camera coordinates [N,3]."""
    return FOCAL * camera_points[:, :2] / camera_points[:, 2:] + np.array([WIDTH, HEIGHT]) / 2


def rays(pixels: Array) -> Array:
    """Directions [N,3] in camera coordinates with z = 1 through pixels [N,2]."""
    return np.column_stack([(pixels - np.array([WIDTH, HEIGHT]) / 2) / FOCAL, np.ones(len(pixels))])


def views(seed: int = 1) -> list[View]:
    """Rings are staggered, and every view is moved a little, as a hand would."""
    rng = np.random.default_rng(seed)
    result: list[View] = []
    for ring, (elevation, distance, height) in enumerate(RINGS):
        for k in range(VIEWS_PER_RING):
            azimuth = np.radians(360 / VIEWS_PER_RING * (k + ring / len(RINGS)) + rng.normal(0, 2.0))
            slope = np.radians(elevation + rng.normal(0, 1.2))
            reach = distance * (1 + rng.normal(0, 0.025))
            target = np.array([0, 0, height]) + rng.normal(0, 0.025, 3)
            direction = np.array(
                [np.cos(slope) * np.cos(azimuth), np.cos(slope) * np.sin(azimuth), np.sin(slope)]
            )
            forward = -direction
            right = np.cross(forward, [0, 0, 1])
            right /= np.linalg.norm(right)
            rotation = np.stack([right, np.cross(forward, right), forward])
            centre = target + reach * direction
            result.append(View(f"view_{len(result):02d}.jpg", rotation, -rotation @ centre))
    return result
