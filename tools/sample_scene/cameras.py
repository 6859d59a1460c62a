"""Thirty-six views from three rings around the table, all inwards; x right, y down, z forward."""

from __future__ import annotations

import numpy as np
from colmap_model.cameras import Pinhole, View

CAMERA = Pinhole(480, 320, 545.0)

# elevation above the table top, distance from the target, height of the target: one row for each ring
RINGS = ((13.0, 2.45, 0.28), (30.0, 2.42, 0.25), (50.0, 2.35, 0.14))
VIEWS_PER_RING = 12


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
