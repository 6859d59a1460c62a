"""Twigs and fruit."""

from __future__ import annotations

import numpy as np

from .meshes import (
    Array,
    Mesh,
    Parts,
    curve,
    grid,
    lathe,
    merge,
    sphere,
    tube,
)


def twigs(seed: int = 5) -> Parts:
    """Bare branches with leaves and berries, rooted in the mouth of the vase."""
    rng = np.random.default_rng(seed)
    wood, leaves, berries = [], [], []
    for k in range(9):
        lean = 2 * np.pi * (k / 9 + rng.uniform(-0.03, 0.03))
        reach, height = rng.uniform(0.16, 0.40), rng.uniform(0.26, 0.48)
        away = np.array([np.cos(lean), np.sin(lean), 0])
        knots = [
            t**1.6 * reach * away + [0, 0, 0.36 + t * height] + rng.normal(0, 0.012, 3) * t
            for t in np.linspace(0, 1, 6)
        ]
        knots[0] = np.array([0, 0, 0.34]) + 0.03 * away
        knots[1] = np.array([0, 0, 0.50]) + 0.045 * away
        stem = curve(knots, 40)
        wood.append(tube(stem, np.linspace(0.0075, 0.0028, 40), 7))
        for j in range(15, 40, 3):
            side = rng.normal(size=3) + 0.6 * away
            side[2] = abs(side[2]) * 0.7
            side *= rng.uniform(0.05, 0.10) / np.linalg.norm(side)
            spur = curve([stem[j], stem[j] + 0.6 * side, stem[j] + side + [0, 0, 0.012]], 9)
            wood.append(tube(spur, np.linspace(0.0028, 0.0016, 9), 5))
            if rng.random() < 0.5:
                berries.append(sphere(rng.uniform(0.011, 0.016), 14).moved(spur[-1]))
            else:
                leaves.append(_leaf(spur[-1], side, rng.uniform(0.07, 0.11), rng))
    return [("bark", merge(wood)), ("leaf", merge(leaves)), ("berry", merge(berries))]


def _leaf(at: Array, direction: Array, length: float, rng: np.random.Generator) -> Mesh:
    along = direction / np.linalg.norm(direction)
    across = np.cross(along, rng.normal(size=3))
    across /= np.linalg.norm(across)
    up = np.cross(across, along)
    v = np.linspace(0, 1, 11)[None, :, None]
    u = np.linspace(-1, 1, 7)[:, None, None]
    width = 0.24 * length * np.sin(np.pi * v**0.8) + 1e-4
    bend = -0.35 * length * v**2 + 0.10 * length * np.abs(u) * np.sin(np.pi * v)
    return grid(at + length * v * along + width * u * across + bend * up)


def orange(radius: float = 0.07) -> Parts:
    return [("orange", sphere(radius, 40).moved((0, 0, radius)))]


def apple(radius: float = 0.07) -> Parts:
    t = np.linspace(-np.pi / 2, np.pi / 2, 50)
    dent = 0.22 * np.exp(-(((np.pi / 2 - np.abs(t)) / 0.35) ** 2))
    profile = radius * np.stack(
        [np.cos(t) * (1 + 0.08 * np.sin(t)), 0.95 * np.sin(t) - np.sign(t) * 2.2 * dent + 0.72], -1
    )
    body = lathe(profile, 48, lambda angle, z: 1 + 0.02 * np.cos(5 * angle) * (z < 0.4 * radius))
    stalk = tube(
        curve([(0, 0, 1.2 * radius), (0.1 * radius, 0, 1.5 * radius), (0.3 * radius, 0, 1.85 * radius)], 8),
        0.05 * radius,
        6,
    )
    return [("apple", body), ("bark", stalk)]
