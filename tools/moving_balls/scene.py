"""The scene as a formula of the time, 0 at the first frame and 1 at the last: what a ray meets, which colour
it has, and where what moves is."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ROOM = 3.2
"""The radius of the wall, scene units; z is up, and the floor is z = 0."""
FLOOR, WALL = -1, -2
"""What a ray meets that meets no ball."""
MIDDLE = np.array([0.0, 0.0, 0.55])


class Ball(NamedTuple):
    """Where it is at a time: `centre` and, scene to its own axes, `turn` [3, 3]."""

    centre: Array
    radius: float
    turn: Array


STILL = [
    ((-1.5, 0.6, 0.5), 0.5), ((1.4, 0.65, 0.55), 0.55), ((-0.6, 1.7, 0.65), 0.65), ((-1.05, -0.95, 0.3), 0.3),
    ((1.25, -0.95, 0.35), 0.35),
]  # fmt: skip
"""Centres and radii of the balls that stay."""
MOVING = (len(STILL), len(STILL) + 1)
"""The numbers of those that move: one rolls over the floor, one goes up and down and turns."""


def balls(time: float) -> list[Ball]:
    """All of them, those that move behind."""
    still = [Ball(np.array(centre), radius, np.eye(3)) for centre, radius in STILL]
    way, radius = 1.1 * math.sin(0.5 * math.pi * time), 0.55
    rolling = Ball(np.array([way - 0.6, -0.15, radius]), radius, _about_y(way / radius))
    height = 1.35 + 0.3 * math.sin(1.5 * math.pi * time)
    bobbing = Ball(np.array([0.35, 0.8, height]), 0.5, _about_z(0.8 * time))
    return [*still, rolling, bobbing]


def _about_y(angle: float) -> Array:
    """Of a ball that rolls along x, from the scene to its own axes."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])


def _about_z(angle: float) -> Array:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])


def met(origin: Array, rays: Array, time: float) -> tuple[Array, Array]:
    """What unit rays [R, 3] from a point [3] in the room meet: places [R, 3], and the numbers of the balls
    [R], or `FLOOR` or `WALL`."""
    flat = (rays[:, :2] ** 2).sum(axis=1).clip(min=1e-12)
    along = -(rays[:, :2] @ origin[:2]) / flat
    nearest = along + np.sqrt((along**2 + (ROOM**2 - origin[:2] @ origin[:2]) / flat).clip(min=0))
    which = np.full(len(rays), WALL)
    down = np.where(rays[:, 2] < 0, -origin[2] / rays[:, 2].clip(max=-1e-12), np.inf)
    which[down < nearest], nearest = FLOOR, np.minimum(down, nearest)
    for number, ball in enumerate(balls(time)):
        aside = ball.centre - origin
        along = rays @ aside
        inside = ball.radius**2 - aside @ aside + along**2
        distance = along - np.sqrt(inside.clip(min=0))
        hit = (inside > 0) & (distance > 0) & (distance < nearest)
        which[hit], nearest[hit] = number, distance[hit]
    return origin + nearest[:, None] * rays, which


def colours(places: Array, which: Array, time: float) -> Array:
    """[R, 3] in [0, 1] of what was met; a place of a ball keeps its colour wherever it goes."""
    found = np.zeros((len(places), 3))
    there = which == FLOOR
    found[there] = _pattern(places[there] * [1.0, 1.0, 0.0], 11, 2.2)
    there = which == WALL
    found[there] = 0.75 * _pattern(places[there], 12, 1.1) + 0.1
    for number, ball in enumerate(balls(time)):
        there = which == number
        own = (places[there] - ball.centre) @ ball.turn.T / ball.radius
        found[there] = _pattern(own, number, 2.5)
    return found


def _pattern(places: Array, seed: int, fineness: float) -> Array:
    """Patches of colours, finer ones on coarser ones."""
    random = np.random.default_rng(seed)
    waves = fineness * random.normal(size=(3, 3, 2)) * [1.0, 2.5]
    turns = random.uniform(0, 2 * math.pi, (3, 2))
    angles = np.einsum("ri,icw->rcw", places, waves) + turns
    return (0.5 + 0.2 * np.sin(angles[..., 0]) + 0.14 * np.tanh(3 * np.sin(angles[..., 1]))).clip(0, 1)


def moves(places: Array, time: float, margin: float) -> Array:
    """[P] bool: whether places [P, 3] are in a ball that moves, or nearer to it than the margin."""
    near = np.zeros(len(places), bool)
    for number in MOVING:
        ball = balls(time)[number]
        near |= np.linalg.norm(places - ball.centre, axis=1) < ball.radius + margin
    return near
