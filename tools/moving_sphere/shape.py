"""The surface: every direction from the origin has a radius, which is a formula of the time.

A material point keeps its direction, and its colour. So what moves where is known exactly, and what is not
near the axis of the swelling never moves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

AXIS = np.array([0.8, 0.36, 0.48])
"""Of the swelling; unit length."""
EDGE = 0.3
"""What is less than this in the cosine to the axis stays."""
SWELLING = 0.35
"""Of the radius, at most."""
LARGEST = 1 + SWELLING


def amount(frame: int, frames: int) -> float:
    """How far it has swollen, from 0 to 1 and half the way back."""
    return math.sin(0.75 * math.pi * frame / max(frames - 1, 1))


def bump(directions: Array) -> Array:
    """[...] of unit directions [..., 3]: from 0 where nothing moves to 1 at the axis, without an edge."""
    x = ((directions @ AXIS - EDGE) / (1 - EDGE)).clip(0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)


def radius(directions: Array, swollen: float) -> Array:
    """[...] of unit directions [..., 3]."""
    return 1 + SWELLING * swollen * bump(directions)


def colour(directions: Array) -> Array:
    """[..., 3] in [0, 1]: a pattern of patches, finer ones on coarser ones."""
    x, y, z = np.moveaxis(directions, -1, 0)
    coarse = np.stack([np.sin(4 * x + 2 * z), np.sin(5 * y - x + 1), np.sin(4.5 * z + 2 * y + 2)], axis=-1)
    fine = np.tanh(2 * np.sin(13 * x + 3) * np.sin(12 * y) + 2 * np.sin(11 * z + 1) * np.sin(9 * x - y))
    return (0.5 + 0.25 * coarse + 0.2 * fine[..., None] * np.array([1.0, 0.7, -0.8])).clip(0, 1)


def met(origin: Array, rays: Array, swollen: float, steps: int = 96) -> Array:
    """[R] how far along unit rays [R, 3] from a point [3] the surface is; infinite where it is not."""
    along = -(rays @ origin)
    inside = LARGEST**2 - (origin @ origin) + along**2
    half = np.sqrt(inside.clip(min=0))
    near, far = along - half, along + half

    def outside(t: Array) -> Array:
        places = origin + t[:, None] * rays
        lengths = np.linalg.norm(places, axis=1)
        return lengths - radius(places / lengths[:, None], swollen)

    low, high, found = near.copy(), far.copy(), np.zeros(len(rays), bool)
    for step in range(1, steps + 1):
        t = near + (far - near) * step / steps
        hit = ~found & (inside > 0) & (outside(t) < 0)
        high[hit], low[hit] = t[hit], (near + (far - near) * (step - 1) / steps)[hit]
        found |= hit
    for _ in range(30):
        middle = (low + high) / 2
        within = outside(middle) < 0
        low, high = np.where(within, low, middle), np.where(within, middle, high)
    return np.where(found, high, np.inf)


def sampled(swollen: float, count: int) -> Array:
    """[count, 3] places on the surface, evenly over its directions."""
    z = 1 - 2 * (np.arange(count) + 0.5) / count
    turn = np.arange(count) * math.pi * (3 - math.sqrt(5))
    flat = np.sqrt(1 - z**2)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)
    return directions * radius(directions, swollen)[:, None]
