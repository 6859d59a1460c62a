"""The two halves of an iteration of k-means: nearest centroids, and the means of what they own."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops import library  # noqa: F401  (loads the operators)


def nearest_centroids(points: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centroid of every point (Euclidean distance, exact search).

    Args:
        points: [N, D] float32, finite. Distances are compared in float32 as |c|²/2 - x·c: centre
            points first that are far from the origin compared with their spread.
        centroids: [K, D] float32, finite, 1 <= K <= 2^24.

    Returns:
        labels [N] int32, the first of equally near centroids; squared distances [N] float32.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    labels, squared_distances = torch.ops.gsplat_core.nearest_centroids(points, centroids)
    return labels, squared_distances


def cluster_means(
    points: Tensor, labels: Tensor, count: int, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The weighted means of clusters of points.

    Args:
        points: [N, D] float32.
        labels: [N] int32, from 0 to count - 1.
        count: number of clusters.
        weights: [N] float32, not negative; ones by default.

    Returns:
        means [count, D], zero where a cluster has no weight, and the weights of the clusters [count].

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    means, masses = torch.ops.gsplat_core.cluster_means(points, labels, count, weights)
    return means, masses


@torch.library.register_fake("gsplat_core::nearest_centroids")
def _(points: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    n = points.shape[0]
    return points.new_empty(n, dtype=torch.int32), points.new_empty(n)


@torch.library.register_fake("gsplat_core::cluster_means")
def _(points: Tensor, labels: Tensor, count: int, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    return points.new_empty((count, points.shape[1])), points.new_empty(count)
