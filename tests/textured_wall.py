"""Photographs of a sloping wall whose texture is a formula, and its exact depths."""

from __future__ import annotations

import numpy as np
import torch

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.plane_sweep import Picture

SLOPE = 0.4
DISTANCE = 4.0


def camera(x, size=(64, 48)):
    viewmat = np.eye(4)
    viewmat[0, 3] = -x
    K = np.array([[60.0, 0, size[0] / 2], [0, 60.0, size[1] / 2], [0, 0, 1]])
    return Camera(viewmat, K, *size)


def wall(taken, textured=True):
    """The picture and the inverse depths of the plane z = DISTANCE + SLOPE x."""
    columns, rows = np.meshgrid(np.arange(taken.width) + 0.5, np.arange(taken.height) + 0.5)
    x, y = (columns - taken.K[0, 2]) / taken.K[0, 0], (rows - taken.K[1, 2]) / taken.K[1, 1]
    center = taken.center[0]
    depth = (DISTANCE + SLOPE * center) / (1 - SLOPE * x)
    u, v = center + x * depth, y * depth
    waves = [
        np.sin(a * u + b * v + c) for a, b, c in ((9, 4, 0), (-5, 8, 1), (3, -11, 2), (14, 2, 3), (1, 17, 4))
    ]
    grey = 0.5 + 0.09 * np.sum(waves, axis=0) if textured else np.full_like(u, 0.5)
    image = torch.from_numpy(grey.astype(np.float32))[..., None].expand(-1, -1, 3)
    return Picture(taken, image, 1 / 12, 1 / 1.5), torch.from_numpy((1 / depth).astype(np.float32))
