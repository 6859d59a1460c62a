"""A statue between columns and bushes, photographed from all sides under a bright sky; hills far behind."""

from __future__ import annotations

import numpy as np
import torch
from colmap_model.cameras import Pinhole, View, look_at

from . import meshes, surfaces
from .capture import Scene
from .meshes import vector

FOCAL = 0.95  # of the width
VIEWS, ORBIT = 48, 4.6
POINTS = 6000
SMALLEST_ANGLE = 1.0  # between the rays of a point, degrees


def views(seed: int) -> list[View]:
    """Once around in two heights, as one walks around a statue."""
    rng = np.random.default_rng(seed)
    result = []
    for k in range(VIEWS):
        angle = 2 * np.pi * (k + 0.25 * rng.normal()) / VIEWS
        reach = ORBIT * (1 + 0.07 * rng.normal())
        height = (1.55 if k % 2 else 2.15) + 0.08 * rng.normal()
        centre = np.array([reach * np.cos(angle), reach * np.sin(angle), height])
        target = np.array([0, 0, 1.95 if k % 2 else 1.65]) + 0.12 * rng.normal(size=3)
        result.append(look_at(f"view_{k:02d}.jpg", centre, target, 0.02 * rng.normal()))
    return result


def camera(width: int, height: int) -> Pinhole:
    return Pinhole(width, height, FOCAL * width)


def _ground(rng: np.random.Generator) -> meshes.Mesh:
    """Level around the statue, hills from 110 units on."""
    rings = np.concatenate([[0.0], np.geomspace(0.3, 1400, 170)])
    angle = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    r, a = np.meshgrid(rings, angle, indexing="ij")
    x, y = r * np.cos(a), r * np.sin(a)
    z = 0.04 * np.sin(1.3 * x) * np.sin(1.1 * y + 1) * np.clip(r / 6, 0, 1)
    rise = np.clip((r - 110) / 500, 0, 1)
    ridge = sum(
        np.sin(k * a + rng.uniform(0, 6)) * rng.uniform(0.4, 1) / (1 + 0.25 * k) for k in range(1, 14)
    )
    z = z + rise * (70 + 34 * ridge) + rise * 9 * np.sin(x / 31) * np.sin(y / 23)
    z = np.where(r > 650, z * np.clip(1 - (r - 650) / 900, 0.2, 1), z)
    return meshes.surface(np.stack([x, y, z], -1), "grass", closed=True)


def _statue() -> list[meshes.Mesh]:
    """A robed figure on a pedestal."""

    def robe(a: np.ndarray, t: np.ndarray) -> np.ndarray:
        body = np.interp(
            t,
            [0, 0.05, 0.35, 0.55, 0.68, 0.76, 0.79, 0.83, 0.88, 0.95, 1],
            [0.34, 0.33, 0.22, 0.2, 0.27, 0.2, 0.09, 0.085, 0.13, 0.11, 0.0],
        )
        folds = 0.045 * np.sin(9 * a + 4 * t) * np.clip(1.1 - 1.6 * t, 0, 1)
        folds += 0.018 * np.sin(23 * a - 9 * t) * np.clip(1 - 1.4 * t, 0, 1)
        face = 0.03 * np.exp(-(((t - 0.87) / 0.02) ** 2)) * np.exp(-8 * (1 - np.cos(a)))
        return body * (1 + 0.25 * np.cos(2 * a) * np.clip(t - 0.4, 0, 0.4)) + folds + face

    def arm(shoulder: list[float], hand: list[float]) -> meshes.Mesh:
        return meshes.pole(np.array(hand), np.array(shoulder), 0.06, "marble", 14)

    return [
        meshes.box([-0.75, -0.75, 0], [0.75, 0.75, 0.18], "granite"),
        meshes.box([-0.5, -0.5, 0.18], [0.5, 0.5, 0.85], "granite"),
        meshes.box([-0.58, -0.58, 0.85], [0.58, 0.58, 0.97], "granite"),
        meshes.lathe(robe, 1.7, np.array([0, 0, 0.97]), "marble", 200, 240),
        arm([0.02, 0.24, 2.18], [0.34, 0.36, 1.9]),
        arm([0.02, -0.24, 2.18], [0.25, -0.42, 2.5]),
        meshes.blob(
            np.array([0.38, 0.37, 1.9]), np.array([0.12, 0.12, 0.12]), "bronze", lambda d: 0 * d[..., 0]
        ),
        meshes.pole(np.array([0.26, -0.44, 0.97]), np.array([0.25, -0.43, 2.95]), 0.022, "bronze"),
    ]


def _column(x: float, y: float, height: float) -> list[meshes.Mesh]:
    def flutes(a: np.ndarray, t: np.ndarray) -> np.ndarray:
        return 0.2 * (1 - 0.14 * t) - 0.018 * np.abs(np.sin(8 * a)) + 0 * t

    at = np.array([x, y, 0.0])
    return [
        meshes.box(at + vector(-0.33, -0.33, 0), at + vector(0.33, 0.33, 0.2), "granite", 0.4),
        meshes.lathe(flutes, height, at + vector(0, 0, 0.2), "sandstone", 40, 160),
        meshes.box(
            at + vector(-0.28, -0.28, height + 0.2), at + vector(0.28, 0.28, height + 0.36), "sandstone", 0.4
        ),
    ]


def build(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    parts = [_ground(rng), *_statue()]
    parts += _column(1.7, -1.2, 2.1) + _column(-1.5, -1.5, 1.3) + _column(-0.6, 2.0, 0.75)
    for x, y, size in ((1.3, 1.35, 0.5), (-1.6, 0.6, 0.62), (0.5, -2.0, 0.4), (-2.3, 1.4, 0.34)):
        middle = np.array([x, y, 0.8 * size])
        radii = np.array([size, size, 0.9 * size])
        parts.append(meshes.blob(middle, 0.82 * radii, "twigs", lambda d: 0.1 * np.sin(9 * d).prod(-1)))
        parts.append(meshes.leaves(middle, radii, int(9000 * size), 0.035, "bush", rng, 0.8))
        if size > 0.45:
            parts.append(
                meshes.leaves(middle + vector(0, 0, 0.06), 1.05 * radii, 60, 0.03, "flowers", rng, 0.97)
            )
    place = rng.uniform(-9, 9, (50_000, 2))
    place = place[(np.hypot(*place.T) > 2.3) & (np.sin(2.1 * place[:, 0]) * np.sin(1.7 * place[:, 1]) > -0.1)]
    parts.append(meshes.blades(np.column_stack([place, 0 * place[:, 0] - 0.02]), 0.13, 0.025, "blades", rng))
    pebbles = rng.uniform(-4, 4, (160, 2))
    pebbles = pebbles[np.hypot(*pebbles.T) > 1.3]
    for x, y in pebbles:
        size = rng.uniform(0.02, 0.07)
        parts.append(
            meshes.blob(
                np.array([x, y, 0.0]),
                size * np.array([1.2, 1, 0.7]),
                "granite",
                lambda d: 0.1 * np.sin(5 * d).sum(-1),
                rng.random(),
                8,
            )
        )
    for _ in range(150):  # trees, at 12 to 120 times the cameras' distance
        angle, reach = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(np.log(55), np.log(260)))
        at = np.array([reach * np.cos(angle), reach * np.sin(angle), 0.0])
        at[2] = max(0.0, (reach - 110) / 500 * 70)
        size = rng.uniform(2.5, 5.0)
        parts.append(meshes.pole(at - vector(0, 0, 2), at + vector(0, 0, 2 * size), 0.3, "twigs"))
        for _ in range(5):
            puff = at + vector(0, 0, 1.6 * size) + rng.normal(size=3) * 0.38 * size
            parts.append(meshes.leaves(puff, 0.75 * size * np.ones(3), 150, 0.42, "tree", rng, 0.4))
    for _ in range(16):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(70, 190)
        at = np.array([reach * np.cos(angle), reach * np.sin(angle), max(0.0, (reach - 110) / 500 * 70)])
        half = np.array([rng.uniform(5, 11), rng.uniform(4, 7), 0])
        parts.append(
            meshes.box(
                at - half - vector(0, 0, 4),
                at + half + vector(0, 0, rng.uniform(6, 16)),
                "house",
                rng.uniform(0, 3),
                rng.random(),
            )
        )
    sun = np.array([0.55, -0.5, 0.68])
    return Scene(
        parts,
        {
            "grass": _ground_look,
            "marble": surfaces.rough((0.86, 0.83, 0.76), (0.42, 0.4, 0.36), 0.4, 9, 0.35, 0.25),
            "granite": surfaces.rough((0.52, 0.48, 0.45), (0.22, 0.2, 0.2), 0.25, 9, 0.3, 0.1),
            "sandstone": surfaces.rough((0.74, 0.6, 0.42), (0.42, 0.31, 0.2), 0.5, 9, 0.4),
            "bronze": surfaces.plain((0.3, 0.24, 0.1), 1.2),
            "bush": surfaces.leafy((0.2, 0.34, 0.07), (0.05, 0.13, 0.03)),
            "flowers": surfaces.leafy((0.85, 0.2, 0.25), (0.8, 0.55, 0.15)),
            "twigs": surfaces.rough((0.14, 0.11, 0.06), (0.05, 0.05, 0.02), 0.3),
            "blades": surfaces.leafy((0.33, 0.42, 0.12), (0.13, 0.23, 0.05)),
            "tree": surfaces.leafy((0.17, 0.27, 0.07), (0.05, 0.11, 0.03)),
            "house": _house_look,
        },
        surfaces.cloudy_sky(torch.tensor(sun, dtype=torch.float32)),
        sun,
        (np.array([0, 0, 1.0]), 9.0),
        1800.0,
        {"tree": 0.06, "house": 0.3, "blades": 0.3, "bush": 0.5, "grass": 0.8},
    )


def _ground_look(spot: surfaces.Spot) -> surfaces.Look:
    """Slabs around the statue, gravel, then meadows and woods on the hills."""
    slabs = surfaces.tiles(
        (0.55, 0.55, 0.55), (0.62, 0.58, 0.5), (0.38, 0.35, 0.31), (0.16, 0.15, 0.1), 0.02
    )(spot)
    meadow = surfaces.rough((0.24, 0.3, 0.1), (0.2, 0.15, 0.08), 1.2, 11, 0.5)(spot)
    large = spot.noise(spot.points, 60.0, 7, spot.footprint, gain=0.9)
    woods = surfaces.mix((0.26, 0.32, 0.12), (0.05, 0.1, 0.035), 0.5 + 1.5 * large[:, 0])
    woods = woods * (1 + 0.9 * large[:, 1:2] - 0.8 * ((large[:, 3:] - 0.3) * 4).clamp(0, 1)).clamp(min=0.15)
    reach = spot.points[:, :2].norm(dim=1)
    wobble = spot.noise(spot.points, 0.7, 5, spot.footprint)[:, 0]
    near = surfaces.mix(slabs.albedo, meadow.albedo, (reach - 2.3 + 0.35 * wobble) / 0.1)
    return surfaces.Look(
        surfaces.mix(near, woods, (reach - 40) / 60),
        slabs.bump + 0.5 * large[:, 1:] * ((reach - 40) / 60).clamp(0, 1)[:, None],
    )


def _house_look(spot: surfaces.Spot) -> surfaces.Look:
    wall = surfaces.mix((0.8, 0.74, 0.62), (0.55, 0.3, 0.2), spot.tone)
    fine = spot.noise(spot.points, 4.0, 5, spot.footprint)
    u = torch.where(spot.normals[:, 0].abs() > spot.normals[:, 1].abs(), spot.points[:, 1], spot.points[:, 0])
    pane = (torch.remainder(u / 2.6, 1) < 0.42) & (torch.remainder(spot.points[:, 2] / 3.1, 1) < 0.5)
    pane &= spot.normals[:, 2].abs() < 0.5
    albedo = torch.where(pane[:, None], torch.tensor([0.06, 0.07, 0.09]), wall * (1 + 0.25 * fine[:, :1]))
    return surfaces.Look(torch.where(spot.normals[:, 2:] > 0.5, torch.tensor([0.33, 0.17, 0.12]), albedo))
