"""A village, fields and a wood, photographed from above in a grid.

The reconstruction has no points in the wood and none on lamp posts.
"""

from __future__ import annotations

import numpy as np
import torch
from colmap_model.cameras import Pinhole, View, look_at

from . import meshes, surfaces
from .capture import Look, Scene, Spot
from .meshes import vector

FOCAL = 0.9  # of the width
ALTITUDE = 62.0
GRID = 6  # rows and columns of photographs straight down
SPACING = 17.0
POINTS = 7000
SMALLEST_ANGLE = 1.0  # between the rays of a point, degrees
HALF = 85.0  # half the terrain's side
ROADS_X, ROADS_Y, ROAD = (-12.0, 38.0), (8.0,), 3.2


def camera(width: int, height: int) -> Pinhole:
    return Pinhole(width, height, FOCAL * width)


def views(seed: int) -> list[View]:
    """A grid of photographs straight down, and four short rows that look to the middle from each side."""
    rng = np.random.default_rng(seed)
    result = []
    for row in range(GRID):
        for k in range(GRID):
            column = k if row % 2 == 0 else GRID - 1 - k
            ground = SPACING * (np.array([column, row]) - (GRID - 1) / 2) + 1.5 * rng.normal(size=2)
            centre = np.array([*ground, ALTITUDE + 1.5 * rng.normal()])
            target = np.array([*(ground + 2.5 * rng.normal(size=2)), 0])
            result.append((centre, target))
    for side in range(4):
        c, s = [(1, 0), (0, 1), (-1, 0), (0, -1)][side]
        for along in (-28.0, -9.0, 9.0, 28.0):
            out = np.array([c * 75 - s * along, s * 75 + c * along]) + 2 * rng.normal(size=2)
            centre = np.array([*out, 0.85 * ALTITUDE + 1.5 * rng.normal()])
            result.append((centre, np.array([0.25 * out[0], 0.25 * out[1], 0])))
    return [look_at(f"view_{n:02d}.jpg", c, t, 0.03 * rng.normal()) for n, (c, t) in enumerate(result)]


def _height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 1.5 * np.sin(x / 23) * np.cos(y / 29) + 0.04 * np.clip(-x - 30, 0, 60)


def _in_wood(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x + 6 * np.sin(y / 9) < -24


def _terrain() -> meshes.Mesh:
    steps = np.linspace(-2 * HALF, 2 * HALF, 260)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    return meshes.surface(np.stack([x, y, _height(x, y)], -1)[::-1], "ground")


def _house(x: float, y: float, turn: float, tone: float, rng: np.random.Generator) -> list[meshes.Mesh]:
    """Walls, a gabled roof that overhangs, a chimney."""
    half = np.array([rng.uniform(3.6, 5.5), rng.uniform(3.0, 3.9)])
    eaves, ridge = rng.uniform(3.0, 5.5), rng.uniform(2.0, 3.0)
    base = float(_height(np.array(x), np.array(y))) - 1
    c, s = np.cos(turn), np.sin(turn)

    def place(points: list[list[float]]) -> np.ndarray:
        p = np.array(points, float)
        return np.stack(
            [x + c * p[..., 0] - s * p[..., 1], y + s * p[..., 0] + c * p[..., 1], base + p[..., 2]], -1
        )

    a, b, h = half[0], half[1], 1 + eaves
    o = 0.5
    drop = ridge * o / b
    parts = [meshes.box([x - a, y - b, base], [x + a, y + b, base + h], "wall", turn, tone)]
    for sign in (1, -1):
        roof = [
            [[-a - o, 0, h + ridge], [a + o, 0, h + ridge]],
            [[-a - o, -sign * (b + o), h - drop], [a + o, -sign * (b + o), h - drop]],
        ]
        grid = place(roof)
        parts.append(meshes.surface(grid if sign > 0 else grid[:, ::-1], "roof", tone))
        gable = place(
            [
                [[sign * a, -sign * b, h], [sign * a, sign * b, h]],
                [[sign * a, 0, h + ridge], [sign * a, 0, h + ridge]],
            ]
        )
        parts.append(meshes.surface(gable[::-1], "wall", tone))
    top = place([[0.4 * a, 0.3 * b, h + 0.5 * ridge]])[0]
    parts.append(meshes.box(top - vector(0.35, 0.35, 0), top + vector(0.35, 0.35, ridge), "brick", turn))
    return parts


def _tree(at: np.ndarray, size: float, name: str, rng: np.random.Generator) -> list[meshes.Mesh]:
    parts = [meshes.pole(at - vector(0, 0, 1), at + vector(0, 0, 1.4 * size), 0.12 * size, "trunk", 6)]
    crown = at + vector(0, 0, 1.75 * size)
    parts.append(
        meshes.blob(crown, 0.6 * size * np.ones(3), "shade", lambda d: 0.15 * np.sin(5 * d).sum(-1), 0.0, 9)
    )
    for _ in range(3):
        puff = crown + 0.3 * size * rng.normal(size=3)
        parts.append(meshes.leaves(puff, 0.7 * size * np.ones(3), 130, 0.28, name, rng, 0.6))
    return parts


def _lamp(x: float, y: float, towards: float) -> list[meshes.Mesh]:
    foot = np.array([x, y, float(_height(np.array(x), np.array(y)))])
    top = foot + vector(0, 0, 8.5)
    head = top + vector(1.3 * towards, 0, 0.25)
    return [
        meshes.pole(foot, top, 0.11, "lamp", 8),
        meshes.pole(top, head, 0.08, "lamp", 6),
        meshes.box(head - vector(0.35, 0.16, 0.08), head + vector(0.35, 0.16, 0.08), "lamp"),
    ]


def build(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    parts = [_terrain()]
    for x in np.arange(-4, 76, 15.5):
        for y in (-58, -40, -22, -5, 21, 38, 55):
            at = np.array([x, y]) + 1.5 * rng.normal(size=2)
            if min(abs(at[0] - r) for r in ROADS_X) < ROAD + 5.5 or rng.random() < 0.2:
                continue
            parts += _house(
                *at, rng.normal() * 0.12 + (np.pi / 2 if rng.random() < 0.4 else 0), rng.random(), rng
            )
    for y in np.arange(-75, 76, 17.0):
        for x in ROADS_X:
            parts += _lamp(x + ROAD + 0.6, y + rng.normal(), -1.0)
    for n in range(34):  # cars, along the roads
        if rng.random() < 0.65:
            x = rng.choice(ROADS_X) + rng.choice([-1.5, 1.5])
            y, turn = -75 + 4.5 * n + rng.normal() * 0.3, np.pi / 2
        else:
            x, y, turn = -5 + 2.4 * n + rng.normal() * 0.3, ROADS_Y[0] + rng.choice([-1.5, 1.5]), 0.0
        z = float(_height(np.array(x), np.array(y)))
        name = ("red", "white", "blue", "dark")[n % 4]
        parts.append(meshes.box([x - 2.1, y - 0.9, z + 0.25], [x + 2.1, y + 0.9, z + 0.95], name, turn))
        parts.append(meshes.box([x - 1.2, y - 0.8, z + 0.9], [x + 1.0, y + 0.8, z + 1.5], "dark", turn))
    count = 0
    while count < 620:  # the wood
        x, y = rng.uniform(-95, -15), rng.uniform(-95, 95)
        if _in_wood(np.array(x), np.array(y)):
            at = np.array([x, y, float(_height(np.array(x), np.array(y)))])
            parts += _tree(at, rng.uniform(3.0, 5.2), "wood", rng)
            count += 1
    for _ in range(45):  # gardens
        x, y = rng.uniform(-6, 76), rng.uniform(-70, 70)
        if min([abs(x - r) for r in ROADS_X] + [abs(y - r) for r in ROADS_Y]) > ROAD + 2:
            at = np.array([x, y, float(_height(np.array(x), np.array(y)))])
            parts += _tree(at, rng.uniform(1.2, 2.4), "garden", rng)
    sun = np.array([-0.45, -0.5, 0.74])
    return Scene(
        parts,
        {
            "ground": _ground_look,
            "wall": _wall_look,
            "roof": _roof_look,
            "brick": surfaces.rough((0.5, 0.25, 0.18), (0.25, 0.1, 0.07), 0.6),
            "wood": surfaces.leafy((0.16, 0.28, 0.07), (0.05, 0.13, 0.03)),
            "garden": surfaces.leafy((0.26, 0.36, 0.08), (0.1, 0.2, 0.04)),
            "shade": surfaces.rough((0.07, 0.13, 0.035), (0.03, 0.07, 0.02), 0.8),
            "trunk": surfaces.rough((0.16, 0.12, 0.08), (0.07, 0.05, 0.03), 0.5),
            "lamp": surfaces.plain((0.75, 0.77, 0.8), 0.5),
            "red": surfaces.plain((0.5, 0.05, 0.04), 1.0),
            "white": surfaces.plain((0.8, 0.8, 0.8), 1.0),
            "blue": surfaces.plain((0.07, 0.15, 0.4), 1.0),
            "dark": surfaces.plain((0.05, 0.05, 0.06), 1.0),
        },
        surfaces.cloudy_sky(torch.tensor(sun, dtype=torch.float32)),
        sun,
        (np.array([0, 0, 0.0]), 150.0),
        4000.0,
        {"wood": 0.0, "shade": 0.0, "trunk": 0.0, "lamp": 0.0, "garden": 0.4},
    )


def _ground_look(spot: Spot) -> Look:
    """Fields, gardens, roads with lines, soil under the wood."""
    p = spot.points
    field = spot.noise(p, 9.0, 9, spot.footprint, gain=0.75)
    fine = spot.noise(p, 0.9, 5, spot.footprint, gain=0.9)
    lawn = surfaces.mix((0.28, 0.36, 0.12), (0.2, 0.2, 0.08), 0.5 + 0.6 * field[:, 0] + 0.25 * fine[:, 0])
    # Fields north of the village are ploughed.
    ploughed = surfaces.mix(
        (0.42, 0.33, 0.2), (0.24, 0.17, 0.1), 0.5 + 0.35 * torch.sin(p[:, 0] * 3.6) + 0.4 * field[:, 1]
    )
    albedo = surfaces.mix(lawn, ploughed, (p[:, 1] - 63 + field[:, 2]) / 0.6)
    soil = surfaces.mix((0.2, 0.15, 0.08), (0.1, 0.09, 0.04), 0.5 + 0.6 * field[:, 1])
    wooded = -23 - (p[:, 0] + 6 * torch.sin(p[:, 1] / 9))
    albedo = surfaces.mix(albedo, soil, wooded / 3 + field[:, 3])
    asphalt = surfaces.mix((0.3, 0.3, 0.31), (0.16, 0.16, 0.17), 0.5 + 0.4 * field[:, 1] + 0.4 * fine[:, 1])
    pavement = surfaces.mix((0.52, 0.5, 0.47), (0.36, 0.35, 0.33), 0.5 + 0.4 * fine[:, 2])
    off = torch.stack(
        [(p[:, 0] - x).abs() for x in ROADS_X]
        + [(p[:, 1] - y).abs() + 1e3 * (p[:, 0] < -12) for y in ROADS_Y]
    )
    nearest, which = off.min(0)
    soft = spot.footprint.clamp(min=0.03)
    albedo = surfaces.mix(albedo, pavement, (ROAD + 1.4 - nearest) / soft)
    albedo = surfaces.mix(albedo, asphalt, (ROAD - nearest) / soft)
    along = torch.where(which < len(ROADS_X), p[:, 1], p[:, 0])
    dash = ((0.12 - nearest) / soft + 0.5).clamp(0, 1) * (torch.remainder(along / 6, 1) < 0.55)
    albedo = surfaces.mix(albedo, (0.8, 0.8, 0.76), dash)
    return Look(albedo * (1 + 0.3 * fine[:, :1]).clamp(min=0.3), 0.35 * fine[:, 1:])


def _wall_look(spot: Spot) -> Look:
    colour = surfaces.mix((0.8, 0.74, 0.6), (0.75, 0.6, 0.5), spot.tone)
    fine = spot.noise(spot.points, 1.5, 6, spot.footprint)
    # Windows on the walls' own axis, which is nearly the world's.
    along = torch.where(spot.normals[:, 0].abs() > 0.7, spot.points[:, 1], spot.points[:, 0])
    soft = spot.footprint.clamp(min=0.05)
    across = 0.55 - (torch.remainder(along, 2.4) - 1.2).abs()
    upright = 0.6 - (torch.remainder(spot.points[:, 2] - 0.3, 2.6) - 1.3).abs()
    pane = (torch.minimum(across, upright) / soft + 0.5).clamp(0, 1)
    glass = surfaces.mix((0.05, 0.06, 0.08), (0.3, 0.35, 0.4), 0.5 + fine[:, 2])
    return Look(surfaces.mix(colour * (1 + 0.2 * fine[:, :1]), glass, pane), 0.1 * fine[:, 1:])


def _roof_look(spot: Spot) -> Look:
    """Rows of tiles; houses differ, and so do tiles."""
    row = (spot.points[:, 2] / 0.22).floor()
    shade = torch.remainder(spot.points[:, 2] / 0.22, 1)
    seen = (0.3 / spot.footprint - 0.7).clamp(0, 1)
    field = spot.noise(spot.points, 3.0, 8, spot.footprint, gain=0.75)
    fine = spot.noise(spot.points + row[:, None], 0.5, 4, spot.footprint, gain=0.9)
    colour = surfaces.mix((0.55, 0.2, 0.11), (0.34, 0.27, 0.25), spot.tone)
    bright = 1 + 0.3 * field[:, :1] + 0.35 * fine[:, :1] + (0.35 * (shade - 0.5) * seen)[:, None]
    return Look(colour * bright.clamp(min=0.3), 0.25 * fine[:, 1:])
