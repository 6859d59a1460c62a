"""Exact neighbours of places among points, by a k-d tree: the nearest ones, or all within a radius.

Of points that are equally far, the one with the smaller index is nearer. So results depend on nothing but the
points: they are the same bytes on every device and for any number of threads. Distances are compared as they
are given, squared and in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops import library  # noqa: F401  (loads the operators)


def knn(
    points: Tensor,
    k: int,
    queries: Tensor | None = None,
    *,
    own: Tensor | None = None,
    radius: float | Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The k nearest points of every query.

    Args:
        points: [N, 3] float32, all finite.
        k: how many neighbours, at least 1.
        queries: [Q, 3] float32, all finite. None: of each point the nearest other ones; a duplicate of it is
            one at distance 0. The points themselves, as queries, find themselves, too.
        own: [Q] int64, for each query the index of a point that it must not find, -1 for none.
        radius: how far neighbours are at most, of all queries or [Q] float32 of each; None: any distance.

    Returns:
        indices [Q, k] int64 and squared distances [Q, k] float32, the nearest first: -1 and infinity where
        there are fewer than k. Not differentiable.

    Raises:
        ValueError: a radius is negative or no number.
        RuntimeError: an argument does not fit; the message names it.
    """
    radii = None if radius is None else _radii(radius, points if queries is None else queries)
    indices, squared_distances = torch.ops.gsplat_core.knn(points, k, queries, own, radii)
    return indices, squared_distances


def neighbors_within(
    points: Tensor, radius: float | Tensor, queries: Tensor | None = None, *, own: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """All points within a radius of every query, the radius included. For a bounded number of them use `knn`.

    Args:
        points: [N, 3] float32, all finite.
        radius: of all queries, or [Q] float32 of each.
        queries, own: as those of `knn`.

    Returns:
        offsets [Q + 1], indices [M] int64 and squared distances [M] float32: the neighbours of query q are
        those from offsets[q] to offsets[q + 1], the nearest first. Not differentiable.

    Raises:
        ValueError: a radius is negative or no number.
        RuntimeError: an argument does not fit; the message names it.
    """
    radii = _radii(radius, points if queries is None else queries)
    offsets, indices, squared_distances = torch.ops.gsplat_core.neighbors_within(points, radii, queries, own)
    return offsets, indices, squared_distances


def _radii(radius: float | Tensor, queries: Tensor) -> Tensor:
    """[Q] of each query."""
    radii = radius if isinstance(radius, Tensor) else queries.new_full(queries.shape[:1], radius)
    if not bool((radii >= 0).all()):
        raise ValueError("argument 'radius' must not be negative, nor NaN")
    return radii


@torch.library.register_fake("gsplat_core::knn")
def _(
    points: Tensor,
    k: int,
    queries: Tensor | None = None,
    own: Tensor | None = None,
    radii: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    shape = ((points if queries is None else queries).shape[0], k)
    return points.new_empty(shape, dtype=torch.int64), points.new_empty(shape)


@torch.library.register_fake("gsplat_core::neighbors_within")
def _(
    points: Tensor, radii: Tensor, queries: Tensor | None = None, own: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    found = torch.library.get_ctx().new_dynamic_size()
    return (
        points.new_empty((points if queries is None else queries).shape[0] + 1, dtype=torch.int64),
        points.new_empty(found, dtype=torch.int64),
        points.new_empty(found),
    )
