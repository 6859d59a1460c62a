"""Closed surfaces covered with thin Gaussians, and cameras around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from gsplat_core.mesh.making import Seen
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

THICKNESS = 0.01
"""Standard deviation along the normal, s_n."""
SH_C0 = 0.28209479177387814


@dataclass(frozen=True)
class Sheet:
    """Points and unit normals [N, 3] on a surface, about `spacing` apart; `distance` of [P, 3] to it."""

    points: np.ndarray
    normals: np.ndarray
    spacing: float
    distance: Callable[[np.ndarray], np.ndarray]


def sphere(count: int = 4000) -> Sheet:
    """Of radius 1, by a Fibonacci lattice."""
    i = np.arange(count) + 0.5
    z, turn = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    radius = np.sqrt(1 - z**2)
    points = np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)
    spacing = float(np.sqrt(4 * np.pi / count))
    return Sheet(points, points, spacing, lambda p: np.abs(np.linalg.norm(p, axis=1) - 1))


def torus(spacing: float = 0.055, large: float = 1.0, small: float = 0.4) -> Sheet:
    """Around z."""
    rings = round(2 * np.pi * small / spacing)
    points, normals = [], []
    for v in 2 * np.pi * np.arange(rings) / rings:
        reach = large + small * np.cos(v)
        count = round(2 * np.pi * reach / spacing)
        u = 2 * np.pi * (np.arange(count) + 0.5 * (len(points) % 2)) / count
        out = np.stack([np.cos(u), np.sin(u), 0 * u], axis=1)
        up = np.array([0, 0, 1.0])
        normals.append(np.cos(v) * out + np.sin(v) * up)
        points.append(large * out + small * normals[-1])

    def distance(p: np.ndarray) -> np.ndarray:
        ring = np.hypot(p[:, 0], p[:, 1]) - large
        return np.abs(np.hypot(ring, p[:, 2]) - small)

    return Sheet(np.concatenate(points), np.concatenate(normals), spacing, distance)


def box(spacing: float = 0.055, half: float = 0.7) -> Sheet:
    """A cube around the origin."""
    side = round(2 * half / spacing)
    line = (np.arange(side) + 0.5) / side * 2 * half - half
    u, v = (grid.ravel() for grid in np.meshgrid(line, line))
    points, normals = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            face = np.full((len(u), 3), sign * half)
            face[:, (axis + 1) % 3], face[:, (axis + 2) % 3] = u, v
            points.append(face)
            normals.append(np.tile(sign * np.eye(3)[axis], (len(u), 1)))

    def distance(p: np.ndarray) -> np.ndarray:
        beyond = np.abs(p) - half
        return np.abs(np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0))

    return Sheet(np.concatenate(points), np.concatenate(normals), spacing, distance)


SHEETS = {"sphere": sphere, "torus": torus, "box": box}


def gaussians_on(sheet: Sheet, thickness: float = THICKNESS) -> Gaussians:
    """Discs in the surface, opaque together, coloured by their normals."""
    normals = torch.from_numpy(sheet.normals).float()
    # The rotation that takes z to the normal: half way between, by half a turn.
    half = normals + torch.tensor([0.0, 0.0, 1.0])
    half[half.norm(dim=1) < 1e-6] = torch.tensor([1.0, 0.0, 0.0])
    half = half / half.norm(dim=1, keepdim=True)
    scales = torch.tensor([0.6 * sheet.spacing, 0.6 * sheet.spacing, thickness]).log()
    count = len(normals)
    return Gaussians(
        means=torch.from_numpy(sheet.points).float(),
        quats=torch.cat([torch.zeros(count, 1), half], dim=1),
        scales=scales.repeat(count, 1),
        opacities=torch.full((count,), 3.0),
        sh0=((0.5 + 0.5 * normals - 0.5) / SH_C0)[:, None],
        shN=torch.zeros(count, 0, 3),
    )


def looking_at_origin(position: np.ndarray, size: int = 160) -> Camera:
    forward = -position / np.linalg.norm(position)
    aside = np.array([0, 0, 1.0]) if abs(forward[2]) < 0.9 else np.array([0, 1.0, 0])
    right = np.cross(aside, forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ position
    K = np.array([[1.1 * size, 0, size / 2], [0, 1.1 * size, size / 2], [0, 0, 1]])
    return Camera(viewmat, K, size, size)


def twelve_views(distance: float = 4.0, size: int = 160) -> list[Seen]:
    """From the corners of an icosahedron."""
    golden = (1 + 5**0.5) / 2
    corners = [(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    all_ = np.array([np.roll(corner, turn) for corner in corners for turn in range(3)], dtype=np.float64)
    # Not quite from the axes, where rays run along the voxels.
    all_ = all_ * distance / np.linalg.norm(all_, axis=1, keepdims=True)
    return [Seen(looking_at_origin(corner, size)) for corner in all_ + np.array([0.11, -0.07, 0.05])]


BOX = np.array([[-1.6, -1.6, -1.6], [1.6, 1.6, 1.6]])
