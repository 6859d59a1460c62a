"""Small questions about the rows of a scene that several strategies ask."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices


def indices(mask: Tensor) -> Tensor:
    """The rows [M] where a mask [N] is True."""
    return mask.nonzero().squeeze(1)


def foremost(rows: Tensor, order: Tensor, count: int) -> Tensor:
    """Those `count` of some rows [M] that are highest in an order [N], the highest first."""
    return rows[order[rows].argsort(descending=True, stable=True)[:count]]


def finite_rows(params: Mapping[str, Tensor]) -> Tensor:
    """[N] mask of the rows in which every number of every parameter is finite."""
    masks = [
        tensor.isfinite().flatten(1).all(dim=1) if tensor.ndim > 1 else tensor.isfinite()
        for tensor in params.values()
    ]
    return torch.stack(masks).all(dim=0)


def to_unit(values: Tensor) -> Tensor:
    """Values moved and scaled to [0, 1]; all 0 where they are equal."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low).clamp(min=1e-12)


def draw(weights: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Rows [count] drawn with replacement, with probability proportional to weights [N], on their device.

    By inverting the cumulative sum in double precision, so the number of rows is not limited to the 2^24 of
    `torch.multinomial`. Weights must be finite, not negative, and not all zero.
    """
    cumulative = weights.double().cumsum(0)
    points = torch.rand(count, generator=random, dtype=torch.float64).to(weights.device) * cumulative[-1]
    rows = torch.searchsorted(cumulative, points, right=True)
    # A point that rounding puts at the very end belongs to the last row with any weight.
    last = indices(weights > 0)[-1]
    return rows.clamp(max=last)


def offsets_within(quats: Tensor, sizes: Tensor, count: int, random: torch.Generator) -> Tensor:
    """[M, count, 3] offsets from the centres of Gaussians, drawn from each as a normal distribution.

    Args:
        quats: [M, 4] rotations (w, x, y, z) of any length but zero.
        sizes: [M, 3] standard deviations.
        count: of draws from each.
        random: on the CPU.
    """
    return in_frames(quats, sizes, torch.randn(len(quats), count, 3, generator=random).to(sizes))


def in_frames(quats: Tensor, sizes: Tensor, places: Tensor) -> Tensor:
    """[M, count, 3] offsets of places [M, count, 3] that are given along the axes of each, in its `sizes`."""
    return torch.einsum("nij,ncj->nci", rotation_matrices(quats), places * sizes[:, None, :])
