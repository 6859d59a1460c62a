"""Exact nearest neighbours of points among themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops import library  # noqa: F401  (loads the operators)


def knn(points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest other points of every point, by a k-d tree.

    Args:
        points: [N, 3] float32, all finite, N > k.
        k: how many neighbours.

    Returns:
        indices [N, k] int64 and squared distances [N, k] float32, both ascending by distance. A duplicate of
        a point is a neighbour at distance 0. Not differentiable.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    indices, squared_distances = torch.ops.gsplat_core.knn(points, k)
    return indices, squared_distances


@torch.library.register_fake("gsplat_core::knn")
def _(points: Tensor, k: int) -> tuple[Tensor, Tensor]:
    shape = (points.shape[0], k)
    return points.new_empty(shape, dtype=torch.int64), points.new_empty(shape)
