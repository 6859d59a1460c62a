"""Codebooks: k-means centroids in an order in which a common prefix of two numbers means resemblance."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.compress.kmeans import kmeans
from gsplat_core.ops.kmeans import cluster_means, nearest_centroids


class Codebook:
    """A codebook of `size` vectors (a power of two) that follows the vectors it stands for.

    Args:
        size: number of codes; fewer are used where there would be fewer than 8 vectors for each.
        iterations: of k-means when it is fitted for the first time; later a fifth of them does.
        seed: of k-means.
    """

    def __init__(self, size: int, iterations: int = 10, seed: int = 0) -> None:
        self.size = size
        self.iterations = iterations
        self.seed = seed
        self.centroids = torch.zeros(0, 0)
        self.labels = torch.zeros(0, dtype=torch.int32)

    def fit(self, values: Tensor) -> None:
        """Fits centroids and labels to vectors [N, D], from the earlier centroids if there are any."""
        values = values.detach().contiguous()
        if not len(values):
            self.centroids, self.labels = values.new_zeros(1, values.shape[1]), torch.zeros(0).int()
            return
        size = 1
        while size < self.size and 16 * size <= len(values):
            size *= 2
        if self.centroids.shape == (size, values.shape[1]):
            rounds = max(1, self.iterations // 5)
            self.centroids, self.labels = kmeans(values, size, rounds, self.seed, initial=self.centroids)
        else:
            self.centroids, self.labels = kmeans(values, size, self.iterations, self.seed)

    def follow(self, values: Tensor) -> Tensor:
        """The codes [N, D] of the vectors: the nearest ones, each then moved to the mean of its vectors."""
        values = values.detach().contiguous()
        self.labels, _ = nearest_centroids(values, self.centroids)
        means, masses = cluster_means(values, self.labels, len(self.centroids))
        self.centroids = torch.where((masses > 0)[:, None], means, self.centroids)
        return self.centroids[self.labels.long()]

    def ordered(self) -> tuple[Tensor, Tensor]:
        """Centroids and labels after sorting the codes by repeated bisection."""
        order = bisection_order(self.centroids)
        number = torch.empty_like(order).index_copy_(0, order, torch.arange(len(order)))
        return self.centroids[order], number[self.labels.long()].int()


def bisection_order(vectors: Tensor) -> Tensor:
    """An order of 2^b vectors [K, D] whose halves, quarters, ... are halves along the widest direction."""
    order = torch.arange(len(vectors))
    block = len(vectors)
    while block > 1:
        parts = vectors[order].reshape(-1, block, vectors.shape[1]).double()
        centred = parts - parts.mean(dim=1, keepdim=True)
        # The principal direction by a few power iterations.
        direction = centred.abs().amax(dim=1)
        for _ in range(8):
            along = centred @ direction[:, :, None]
            direction = (centred.transpose(1, 2) @ along)[:, :, 0]
            direction = direction / direction.norm(dim=1, keepdim=True).clamp(min=1e-30)
        along = (centred @ direction[:, :, None])[:, :, 0]
        inner = along.sort(dim=1, stable=True).indices
        order = order.reshape(-1, block).gather(1, inner).reshape(-1)
        block //= 2
    return order
