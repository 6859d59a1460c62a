"""Where Gaussians lie in a triangle, and how large they are there."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Lattice(NamedTuple):
    """Args:
    weights: [K, 3] float64, barycentric coordinates.
    radius: as a share of the triangle's shortest edge.
    """

    weights: Tensor
    radius: float


def _permuted(a: float, b: float) -> list[list[float]]:
    return [[a, b, b], [b, a, b], [b, b, a]]


_CENTRE = [[1 / 3, 1 / 3, 1 / 3]]
_ROOT = math.sqrt(3)
# SuGaR (Guédon and Lepetit 2024): circles of such radii lie within an equilateral triangle.
_SUGAR = {
    1: (_CENTRE, 1 / (2 * _ROOT)),
    3: (_permuted(1 / 2, 1 / 4), 1 / (2 * (_ROOT + 1))),
    4: (_CENTRE + _permuted(2 / 3, 1 / 6), 1 / (4 * _ROOT)),
    6: (_permuted(2 / 3, 1 / 6) + _permuted(1 / 6, 5 / 12), 1 / (4 + 2 * _ROOT)),
}


def lattice(count: int) -> Lattice:
    """SuGaR's of 1, 3, 4 or 6 points; of 10, 15, 21 and so on, as many rows of points as it takes, with the
    radius of GaussianDreamerPro (Yi et al. 2024).

    Raises:
        ValueError: there is none of this many points.
    """
    if count in _SUGAR:
        weights, radius = _SUGAR[count]
        return Lattice(torch.tensor(weights, dtype=torch.float64), radius)
    rows = (math.isqrt(8 * count + 1) - 1) // 2
    if count < 1 or rows * (rows + 1) // 2 != count:
        raise ValueError(
            f"there is no lattice of {count} points in a triangle: 1, 3, 4, 6, 10, 15, 21 and so on are"
        )
    steps = [[i, j, rows - 1 - i - j] for i in range(rows) for j in range(rows - i)]
    return Lattice((torch.tensor(steps, dtype=torch.float64) + 1 / 3) / rows, _ROOT / 3 / math.sqrt(count))


def shortest_edges(corners: Tensor) -> Tensor:
    """[F] of triangles [F, 3, 3]."""
    return (corners - corners.roll(1, dims=1)).norm(dim=2).amin(dim=1)
