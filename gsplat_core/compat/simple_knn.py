"""The interface of ``simple_knn`` (graphdeco-inria): how far Gaussians are from their neighbours."""

from __future__ import annotations

from torch import Tensor

from gsplat_core.ops.neighbors import knn


def distCUDA2(points: Tensor) -> Tensor:
    """The mean squared distance [N] of points [N, 3] to their three nearest neighbours, on any device.

    Raises:
        ValueError: there are fewer than four points.
    """
    if points.dim() != 2 or points.shape[-1] != 3 or len(points) < 4:
        raise ValueError(f"argument 'points' must have shape [N, 3] with N > 3, got {list(points.shape)}")
    _, squared = knn(points.detach().float(), 3)
    return squared.mean(dim=-1)


__all__ = ["distCUDA2"]
