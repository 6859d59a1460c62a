"""The rigid motion that brings points onto others best, differentiable (Horn 1987; FlowMap, Smith et al.
2024)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices

_LEAST_GAP = 1e-9
"""Of eigenvalues, relative to the largest, that count as different: where they are not, the rotation is open,
and has no derivative."""


def procrustes(
    points: Tensor, targets: Tensor, weights: Tensor, groups: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """R [G, 3, 3] and t [G, 3] of the motions that minimize sum w |R x + t - y|^2 over each group.

    Differentiable by all three. A singular value decomposition, as published, has no derivative where two
    singular values are the same, though the rotation is known; that of Horn's quaternion, the eigenvector of
    the largest eigenvalue, is only undefined where the rotation is, and is taken as zero there.

    Args:
        points, targets: [M, 3].
        weights: [M] not negative.
        groups: [M] int64 which motion each row belongs to, from 0 to count - 1.
    """

    def summed(values: Tensor) -> Tensor:
        return values.new_zeros(count, *values.shape[1:]).index_add(0, groups, values)

    share = weights / summed(weights).clamp(min=1e-12)[groups]
    middle, goal = summed(share[:, None] * points), summed(share[:, None] * targets)
    a, b = points - middle[groups], targets - goal[groups]
    correlation = summed((share[:, None] * a)[:, :, None] * b[:, None, :])
    rotation = rotation_matrices(_quaternion(correlation)).to(points.dtype)
    return rotation, goal - (rotation @ middle[:, :, None])[..., 0]


def _quaternion(correlation: Tensor) -> Tensor:
    """[G, 4] of the rotations R that maximize the trace of R [G, 3, 3], float64."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in correlation.double().unbind(-2))
    x, y, z = yz - zy, zx - xz, xy - yx
    rows = [
        [xx + yy + zz, x, y, z],
        [x, xx - yy - zz, xy + yx, zx + xz],
        [y, xy + yx, yy - xx - zz, yz + zy],
        [z, zx + xz, yz + zy, zz - xx - yy],
    ]
    found: Tensor = _LargestEigenvector.apply(torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2))
    return found


class _LargestEigenvector(torch.autograd.Function):
    """[G, n] of symmetric matrices [G, n, n]; other eigenvalues may be the same."""

    @staticmethod
    def forward(ctx: Any, matrices: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(matrices)
        ctx.save_for_backward(values, vectors)
        return vectors[..., -1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        gaps = values[..., -1:] - values[..., :-1]
        clear = gaps > _LEAST_GAP * values.abs().amax(dim=-1, keepdim=True)
        parts = (vectors[..., :-1].mT @ gradient[..., None])[..., 0]
        turned = vectors[..., :-1] @ torch.where(clear, parts / gaps.clamp(min=1e-300), 0.0)[..., None]
        product = turned @ vectors[..., None, :, -1]
        return (product + product.mT) / 2
