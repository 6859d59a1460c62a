"""Flat Gaussians: which cameras see them, and at which depths pixels do."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.reference.gaussians import roots

LEAST_COSINE = 0.01


def normals(quats: Tensor) -> Tensor:
    """[..., N, 3] the third axes."""
    return roots(quats, torch.ones_like(quats[..., :3]), None)[..., 2]


def cosines(normals: Tensor, means: Tensor, viewmats: Tensor) -> Tensor:
    """Between normals and the directions in which cameras see Gaussians; negative from the front.

    Args:
        normals, means: [B, 1, N, 3]; viewmats: [B, C, 1, 4, 4].
    """
    turn = viewmats[..., :3, :3]
    centres = -(turn.mT @ viewmats[..., :3, 3:])[..., 0]
    return torch.cosine_similarity(means - centres, normals.expand_as(means - centres), dim=-1)


def in_camera(normals: Tensor, means: Tensor, viewmat: Tensor) -> tuple[Tensor, Tensor]:
    """[V, 3] both, in the axes of the camera."""
    turn = viewmat[:3, :3]
    return normals @ turn.T, means @ turn.T + viewmat[:3, 3]


def depth_sums(weights: Tensor, normals: Tensor, means: Tensor, rays: Tensor) -> Tensor:
    """[P, 3]: the sums of z, 1/z and 1/z^2 over the splats of pixels, where that of z is the sum of the
    weights times the harmonic mean.

    Args:
        weights: [V, P] of splats at pixels; normals, means: [V, 3] theirs in the camera's axes.
        rays: [P, 3], as long as a step of depth 1.
    """
    across = normals @ rays.T
    there = (weights > 0) & (across != 0)  # the others' planes are met nowhere
    z = (normals * means).sum(-1)[:, None] / torch.where(there, across, 1.0)
    inverse = torch.where(there, weights / z, 0.0).sum(0)
    squares = torch.where(there, weights / z.square(), 0.0).sum(0)
    alphas = weights.sum(0)
    depths = torch.where(inverse > 0, alphas * (alphas / torch.where(inverse > 0, inverse, 1.0)), 0.0)
    return torch.stack([depths, inverse, squares], dim=-1)
