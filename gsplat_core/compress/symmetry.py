"""A Gaussian is the same when its axes are renamed or reversed: of its 24 descriptions, the one to store.

Each quaternion g of the cube's rotation group turns (R, s) into (R G, s permuted), the same ellipsoid. The
description whose rotation is nearest to none has all of |x|, |y|, |z| below w, so that w need not be stored,
and the others fill a 24th of the space of rotations: 4.6 bits less for each Gaussian.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from gsplat_core.quaternions import multiply, rotation_matrices


def _cube_group() -> tuple[Tensor, Tensor]:
    """The 24 rotations of the cube as quaternions [24, 4], and which axis each puts where [24, 3]."""
    half = 0.5**0.5
    quaternions = [torch.eye(4)[i] for i in range(4)]
    for i, j in itertools.combinations(range(4), 2):
        for sign in (1.0, -1.0):
            q = torch.zeros(4)
            q[i], q[j] = half, sign * half
            quaternions.append(q)
    quaternions += [torch.tensor([0.5, *signs]) for signs in itertools.product((0.5, -0.5), repeat=3)]
    group = torch.stack(quaternions)
    return group, rotation_matrices(group).abs().argmax(dim=1)


_GROUP, _AXES = _cube_group()


def renaming(quats: Tensor) -> Tensor:
    """For rotations [N, 4] the numbers [N] of the renaming that brings each nearest to no rotation."""
    # The scalar part of q g is q . conjugate(g).
    conjugate = _GROUP * torch.tensor([1.0, -1.0, -1.0, -1.0])
    return (quats.detach().float() @ conjugate.T.to(quats.device)).abs().argmax(dim=1)


def rename(quats: Tensor, scales: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    """Unit quaternions [N, 4] with w >= 0, and log-scales [N, 3], after the renamings [N]. Differentiable."""
    turned = multiply(torch.nn.functional.normalize(quats, dim=1), _GROUP.to(quats)[which])
    turned = torch.where(turned[:, :1] < 0, -turned, turned)
    return turned, scales.gather(1, _AXES.to(quats.device)[which])


def undo(quats: Tensor, scales: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of `rename`, up to the length and sign of the quaternions."""
    inverse = _GROUP.to(quats)[which] * quats.new_tensor([1.0, -1.0, -1.0, -1.0])
    axes = _AXES.to(quats.device)[which]
    return multiply(quats, inverse), torch.empty_like(scales).scatter(1, axes, scales)


def like(quats: Tensor, model: Tensor) -> Tensor:
    """The rotations of `quats` [N, 4] as quaternions with the lengths and the signs of `model` [N, 4]."""
    opposite = (quats * model).sum(dim=1, keepdim=True) < 0
    length = model.norm(dim=1, keepdim=True) / quats.norm(dim=1, keepdim=True)
    return torch.where(opposite, -quats, quats) * length
