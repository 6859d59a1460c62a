"""Rigid motions as six numbers each: the exponential map of SE(3) and its inverse.

A twist (w, v) is an axis times an angle in radians, and a translation that happens along with the turn:
its motion is exp([[W, v], [0, 0]]) with W x = w cross x. Both maps are batched, and differentiable any number
of times in both modes, also at zero, where one optimizes from: there they are linear. A camera is moved
within its own frame by ``exp(twist) @ viewmat``, with a translation in scene units; then a turn leaves its
centre where it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.quaternions import quaternions_of


def hat(axes: Tensor) -> Tensor:
    """[..., 3, 3] the matrices of the cross product: ``hat(w) @ x`` is w cross x, for w [..., 3]."""
    x, y, z = axes.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def exp(twists: Tensor) -> Tensor:
    """[..., 4, 4] the motions of twists [..., 6], the rotation before the translation."""
    upper = torch.cat([hat(twists[..., :3]), twists[..., 3:, None]], dim=-1)
    return torch.linalg.matrix_exp(torch.nn.functional.pad(upper, (0, 0, 0, 1)))


def log(motions: Tensor) -> Tensor:
    """[..., 6] the twists of rigid motions [..., 4, 4] that turn least: by at most pi. Differentiable but for
    turns by pi."""
    turn = rotation_vectors(motions[..., :3, :3])
    # exp([[W, I], [0, 0]]) = [[R, V], [0, I]] with the V that takes v to the translation of (w, v).
    block = torch.cat([hat(turn), torch.eye(3).to(turn).expand(*turn.shape[:-1], 3, 3)], dim=-1)
    along = torch.linalg.matrix_exp(torch.nn.functional.pad(block, (0, 0, 0, 3)))[..., :3, 3:]
    return torch.cat([turn, torch.linalg.solve(along, motions[..., :3, 3])], dim=-1)


def rotation_vectors(rotations: Tensor) -> Tensor:
    """[..., 3] axis times angle, at most pi, of rotation matrices [..., 3, 3]."""
    quats = quaternions_of(rotations)
    quats = torch.where(quats[..., :1] < 0, -quats, quats)
    cosine, sines = quats[..., 0], quats[..., 1:]
    squared = sines.square().sum(dim=-1)
    small = squared < 1e-6
    sine = torch.where(small, 1.0, squared).sqrt()
    # 2 atan(s / c) / s, whose series in s at c = sqrt(1 - s^2) is that of the arcsine.
    factor = torch.where(small, 2 + squared / 3 + 3 / 20 * squared**2, 2 * torch.atan2(sine, cosine) / sine)
    return factor[..., None] * sines
