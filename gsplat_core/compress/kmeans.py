"""k-means (Lloyd 1982): the codebook of k vectors with the least squared distance to many.

Assignments are exact and done by brute force in blocked loops, which in the tens of dimensions of spherical
harmonics beats methods with trees and bounds. With `batch`, each iteration looks at a random part of the
points only (Sculley 2010, "Web-scale k-means clustering").
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops.kmeans import cluster_means, nearest_centroids


def kmeans(
    points: Tensor,
    k: int,
    iterations: int = 10,
    seed: int = 0,
    weights: Tensor | None = None,
    batch: int | None = None,
    initial: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Centroids of `points`, and the nearest one of each. The same whenever it runs on the same device.

    Args:
        points: [N, D] float32, finite.
        k: number of centroids, at most N.
        iterations: of Lloyd's algorithm; it ends sooner when nothing changes.
        seed: of the random rows that are the first centroids, and of the batches.
        weights: [N] float32, not negative; how much each point's squared distance counts.
        batch: rows per iteration; None takes all of them. The labels are those of all points in any case.
        initial: [k, D], the first centroids, for example those of an earlier call.

    Returns:
        centroids [k, D] float32 and labels [N] int32, the index of each point's nearest centroid.

    Raises:
        ValueError: k, iterations or batch out of range, or shapes that do not fit.
        RuntimeError: points with NaN or infinite numbers.
    """
    n = points.shape[0]
    if not 1 <= k <= n:
        raise ValueError(f"k = {k}: expected between 1 and the number of points, {n}")
    if iterations < 0:
        raise ValueError(f"iterations = {iterations}: expected 0 or more")
    if batch is not None and batch < 1:
        raise ValueError(f"batch = {batch}: expected at least 1 or None")
    if initial is not None and initial.shape != (k, points.shape[1]):
        raise ValueError(f"initial: expected [{k}, {points.shape[1]}], got {list(initial.shape)}")
    if weights is not None and (weights.shape != (n,) or bool((weights < 0).any())):
        raise ValueError(f"weights: expected [{n}] numbers that are not negative")
    points = points.detach()
    generator = torch.Generator().manual_seed(seed)
    # Around the origin, where distances lose least to rounding.
    origin = points.mean(dim=0, dtype=torch.float64).to(points.dtype)
    centred = points - origin
    if initial is None:
        centroids = centred[torch.randperm(n, generator=generator)[:k].to(points.device)]
    else:
        centroids = initial.detach() - origin
    if batch is None or batch >= n:
        centroids = _lloyd(centred, centroids, iterations, weights, generator)
    else:
        centroids = _minibatch(centred, centroids, iterations, weights, batch, generator)
    labels, _ = nearest_centroids(centred, centroids)
    return centroids + origin, labels


def inertia(points: Tensor, centroids: Tensor, labels: Tensor) -> float:
    """The mean squared distance of the points [N, D] to their centroids."""
    return float((points - centroids[labels.long()]).square().sum(dim=1).mean(dtype=torch.float64))


def _lloyd(
    points: Tensor, centroids: Tensor, iterations: int, weights: Tensor | None, generator: torch.Generator
) -> Tensor:
    before = None
    for _ in range(iterations):
        labels, squared_distances = nearest_centroids(points, centroids)
        if before is not None and torch.equal(labels, before):
            break
        centroids, masses = cluster_means(points, labels, len(centroids), weights)
        empty = (masses == 0).nonzero().squeeze(1)
        before = None if len(empty) else labels
        if len(empty):
            cost = squared_distances if weights is None else squared_distances * weights
            centroids[empty] = points[_drawn(cost, len(empty), generator)]
    return centroids


def _drawn(cost: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Rows that are badly represented: each drawn with a probability proportional to its cost."""
    total = cost.double().cumsum(0)
    uniform = torch.rand(count, generator=generator, dtype=torch.float64).to(cost.device)
    return torch.searchsorted(total, uniform * total[-1], right=True).clamp(max=len(cost) - 1)


def _minibatch(
    points: Tensor,
    centroids: Tensor,
    iterations: int,
    weights: Tensor | None,
    batch: int,
    generator: torch.Generator,
) -> Tensor:
    """Every centroid is the mean of all the points that ever fell to it."""
    masses = torch.zeros(len(centroids), device=points.device)
    for _ in range(iterations):
        rows = torch.randint(len(points), (batch,), generator=generator).to(points.device)
        part = points[rows]
        labels, _ = nearest_centroids(part, centroids)
        means, mass = cluster_means(part, labels, len(centroids), None if weights is None else weights[rows])
        masses += mass
        centroids = centroids + (means - centroids) * (mass / masses.clamp(min=1e-30))[:, None]
    return centroids
