"""A carved wall with things before it and a yard behind, photographed from nearly one place."""

from __future__ import annotations

import numpy as np
import torch
from colmap_model.cameras import Pinhole, View, look_at

from . import meshes, surfaces
from .capture import Look, Scene, Spot
from .meshes import vector

FOCAL = 0.95  # of the width
COLUMNS, ROWS = 6, 5
WIDTH, HEIGHT = 0.36, 0.24  # of the rectangle of cameras: 1:16 of the distance to the wall, corner to corner
DISTANCE = 7.0
EYES = 1.6
POINTS = 4500
SMALLEST_ANGLE = 0.4  # between the rays of a point, degrees


def camera(width: int, height: int) -> Pinhole:
    return Pinhole(width, height, FOCAL * width)


def views(seed: int) -> list[View]:
    """Rows and columns of a small upright rectangle, held by hand; y is forward."""
    rng = np.random.default_rng(seed)
    result = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            x = WIDTH * (column / (COLUMNS - 1) - 0.5) + 0.012 * rng.normal()
            z = EYES + HEIGHT * (row / (ROWS - 1) - 0.5) + 0.012 * rng.normal()
            target = np.array([0.1 * rng.normal(), DISTANCE, EYES + 0.08 * rng.normal()])
            centre = np.array([x, 0.02 * rng.normal(), z])
            result.append(look_at(f"view_{len(result):02d}.jpg", centre, target, 0.015 * rng.normal()))
    return result


def _wall() -> list[meshes.Mesh]:
    """A wall with carved panels, and an arch in its right half to look through."""
    parts = []
    steps_x, steps_z = np.linspace(-6, 0.6, 430), np.linspace(-0.5, 5, 360)
    z, x = np.meshgrid(steps_z, steps_x, indexing="ij")
    frame = np.maximum(np.abs(x + 1.75) / 1.45, np.abs(z - 1.75) / 1.25)
    depth = np.where(frame < 1, 0.16, 0.0) - np.where((frame > 1) & (frame < 1.08), 0.09, 0.0)
    r, a = np.hypot(x + 1.75, z - 1.75), np.arctan2(z - 1.75, x + 1.75)
    rose = 0.14 * np.exp(-(((r - 0.55) / 0.2) ** 2)) * (0.55 + 0.45 * np.cos(8 * a))
    rose += 0.12 * np.exp(-((r / 0.22) ** 2)) + 0.07 * np.exp(-(((r - 0.95) / 0.07) ** 2)) * (
        0.7 + 0.3 * np.cos(24 * a)
    )
    for cx, cz in ((-2.85, 0.85), (-0.65, 0.85), (-2.85, 2.65), (-0.65, 2.65)):
        q, b = np.hypot(x - cx, z - cz), np.arctan2(z - cz, x - cx)
        rose += 0.11 * np.exp(-((q / 0.2) ** 4)) * (0.6 + 0.4 * np.cos(5 * b + 7 * q))
    y = DISTANCE + depth - np.where(frame < 1, rose, 0)
    parts.append(meshes.surface(np.stack([x, y, z], -1)[::-1], "carved"))
    # The arch: spans between the curve and the wall's edge.
    t = np.linspace(0, 1, 60)
    angle = np.pi * (1 - t)
    curve = np.stack([1.75 + 1.15 * np.cos(angle), np.full_like(t, DISTANCE), 2.0 + 1.15 * np.sin(angle)], -1)
    roof = np.stack([0.6 + 2.3 * t, np.full_like(t, DISTANCE), np.full_like(t, 5.0)], -1)
    parts.append(meshes.surface(np.stack([roof, curve]), "bricks"))
    for low, high in (
        ([0.6, DISTANCE, -0.5], [0.6, DISTANCE, 2.0]),
        ([2.9, DISTANCE, -0.5], [2.9, DISTANCE, 2.0]),
    ):
        parts.append(
            meshes.box(np.array(low) - vector(0.09, 0.12, 0), np.array(high) + vector(0.09, 0.6, 0), "pillar")
        )
    inner = np.stack([curve, curve + vector(0, 0.6, 0)])
    parts.append(meshes.surface(inner[::-1], "pillar"))
    parts.append(meshes.box([2.9, DISTANCE, -0.5], [7, DISTANCE + 0.6, 5], "bricks"))
    return parts


def build(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    parts = _wall()
    steps_y, steps_x = np.linspace(0.6, 60, 300), np.linspace(-14, 20, 180)
    y, x = np.meshgrid(steps_y, steps_x, indexing="ij")
    parts.append(meshes.surface(np.stack([x, y, 0 * x], -1)[::-1], "floor"))
    # Near: pots with plants on a ledge, a branch that hangs in, a fence.
    parts.append(meshes.box([-2.4, 3.1, 0], [-0.2, 3.5, 0.62], "stone"))
    for cx, size in ((-1.95, 0.17), (-1.25, 0.22), (-0.55, 0.15)):
        at = np.array([cx, 3.3, 0.62])
        parts.append(
            meshes.lathe(
                lambda a, t, s=size: s * (0.7 + 0.3 * t) + 0.03 * s * np.sin(30 * t) + 0 * a,
                1.3 * size,
                at,
                "clay",
                tone=rng.random(),
            )
        )
        parts.append(
            meshes.leaves(
                at + vector(0, 0, 2.2 * size), 1.35 * size * np.ones(3), 420, 0.045, "plant", rng, 0.3
            )
        )
    for k in range(9):
        at = np.array([-1.6 + 0.28 * k, 2.3 + 0.05 * np.sin(2 * k), 2.42 - 0.06 * abs(k - 4)])
        parts.append(meshes.leaves(at, np.array([0.2, 0.14, 0.16]), 75, 0.04, "vine", rng, 0.1))
    for k in range(6):
        at = np.array([0.75 + 0.16 * k, 4.2, 0.0])
        parts.append(meshes.pole(at, at + vector(0, 0, 0.95), 0.014, "iron", 8))
    parts.append(meshes.pole(np.array([0.65, 4.2, 0.88]), np.array([1.65, 4.2, 0.88]), 0.018, "iron", 8))
    parts.append(
        meshes.lathe(
            lambda a, t: (
                0.3 * np.sqrt(np.clip(1 - (1.7 * t - 0.75) ** 2, 0.02, 1)) + 0.006 * np.sin(40 * t) + 0 * a
            ),
            0.75,
            np.array([2.25, 5.2, 0]),
            "clay",
            tone=0.8,
        )
    )
    for k in range(5):
        at = np.array([-2.8 + rng.normal() * 0.1 + 0.5 * k, 6.2 + 0.3 * rng.normal(), 0.12])
        parts.append(
            meshes.blob(
                at,
                rng.uniform(0.14, 0.26) * np.ones(3),
                "stone",
                lambda d: 0.12 * np.sin(4 * d).sum(-1),
                rng.random(),
            )
        )
    # Beyond the arch: a yard with columns, trees and house fronts, ever farther.
    for k, (cx, cy) in enumerate(((1.5, 9.5), (3.6, 10.5), (2.2, 13.0), (4.6, 15.0))):
        parts.append(
            meshes.lathe(
                lambda a, t: 0.16 - 0.012 * np.abs(np.sin(7 * a)) + 0 * t,
                2.2 + 0.2 * k,
                np.array([cx, cy, 0]),
                "pillar",
                20,
                100,
            )
        )
    for cx, cy, size in ((3.3, 17.0, 1.1), (5.4, 20.0, 1.4), (2.6, 24.0, 1.5), (7.6, 28, 1.8)):
        at = np.array([cx, cy, 0.0])
        parts.append(meshes.pole(at, at + vector(0, 0, 2 * size), 0.1, "wooden"))
        parts.append(
            meshes.leaves(
                at + vector(0, 0, 2 * size), size * np.array([0.9, 0.9, 1]), 1500, 0.09, "tree", rng, 0.4
            )
        )
    parts.append(meshes.box([-3, 38, 0], [9, 42, 7.5], "front", 0.1))
    parts.append(meshes.box([9.5, 36, 0], [22, 40, 9], "front", -0.1, 1.0))
    sun = np.array([-0.5, -0.75, 0.62])
    return Scene(
        parts,
        {
            "carved": surfaces.rough((0.78, 0.68, 0.52), (0.45, 0.36, 0.25), 0.5, 9, 0.35),
            "bricks": surfaces.tiles(
                (0.34, 0.34, 0.13), (0.6, 0.3, 0.2), (0.36, 0.15, 0.1), (0.5, 0.47, 0.42), 0.018
            ),
            "pillar": surfaces.rough((0.72, 0.7, 0.66), (0.44, 0.42, 0.4), 0.3, 9, 0.3),
            "floor": surfaces.tiles(
                (0.5, 0.5, 0.5), (0.55, 0.46, 0.36), (0.33, 0.27, 0.22), (0.14, 0.12, 0.1), 0.02
            ),
            "stone": surfaces.rough((0.55, 0.53, 0.5), (0.26, 0.25, 0.24), 0.3),
            "clay": _clay_look,
            "plant": surfaces.leafy((0.28, 0.42, 0.1), (0.07, 0.18, 0.04)),
            "vine": surfaces.leafy((0.36, 0.42, 0.08), (0.12, 0.2, 0.04)),
            "tree": surfaces.leafy((0.2, 0.32, 0.08), (0.06, 0.14, 0.03)),
            "iron": surfaces.plain((0.06, 0.06, 0.07), 0.9),
            "wooden": surfaces.rough((0.3, 0.2, 0.12), (0.13, 0.08, 0.05), 0.3),
            "front": surfaces.tiles(
                (1.3, 1.3, 1.7), (0.85, 0.8, 0.66), (0.7, 0.62, 0.48), (0.12, 0.13, 0.16), 0.55, False
            ),
        },
        surfaces.cloudy_sky(torch.tensor(sun, dtype=torch.float32)),
        sun,
        (np.array([0, 8, 1.5]), 14.0),
        400.0,
        {"vine": 0.5, "plant": 0.5, "tree": 0.3, "iron": 0.3},
    )


def _clay_look(spot: Spot) -> Look:
    """Glazed in bands."""
    field = spot.noise(spot.points, 0.15, 7, spot.footprint, gain=0.7)
    band = torch.sin(spot.points[:, 2] * 55 + 0.6 * field[:, 0])
    colour = surfaces.mix((0.55, 0.24, 0.12), (0.1, 0.25, 0.36), (2 * band + 0.5).clamp(0, 1))
    return Look(colour * (1 + 0.25 * field[:, :1]), 0.08 * field[:, 1:], 0.9)
