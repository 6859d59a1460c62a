"""The footprint of a Gaussian by the unscented transform: the mean and the covariance of the pixels of seven
points.

Julier and Uhlmann, "Unscented Filtering and Nonlinear Estimation" (2004); Wan and van der Merwe, "The
Unscented Kalman Filter" (2000); for splats: Wu et al., "3DGUT" (2025).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.reference.cameras import Camera, Intrinsics


class Unscented(NamedTuple):
    """The numbers of the transform, and when a Gaussian is drawn: if any or all of its points are at most so
    many image sizes outside the image."""

    alpha: float = 1.0
    beta: float = 2.0
    kappa: float = 0.0
    in_image_margin_factor: float = 0.1
    require_all_sigma_points_valid: bool = False


class Moments(NamedTuple):
    """Of the pixels of Gaussians, [..., N, ...]."""

    means: Tensor
    covariances: Tensor
    seen: Tensor
    doubtful: Tensor


def moments(
    points: Tensor,
    axes: Tensor,
    intrinsics: Intrinsics,
    camera: Camera,
    unscented: Unscented,
    band: float,
) -> Moments:
    """Of Gaussians with centres [..., N, 3] in the camera's space, and roots [..., N, 3, 3] of their
    covariances there, whose columns are their axes."""
    alpha, beta, kappa, margin, all_points = unscented
    spread = alpha**2 * (3 + kappa)
    of_centre = (spread - 3) / spread
    columns = math.sqrt(spread) * axes.mT
    sigma = torch.cat(
        [points[..., None, :], points[..., None, :] + columns, points[..., None, :] - columns], -2
    )
    flat = sigma.flatten(-3, -2)
    seen = camera.sees(flat, intrinsics, band)
    pixels = camera.pixel(torch.where(seen.visible[..., None], flat, _AHEAD), intrinsics)
    visible, doubtful, pixels = (t.unflatten(points.dim() - 2, (-1, 7)) for t in (*seen, pixels))

    centre, around = pixels[..., :1, :], pixels[..., 1:, :]
    ways = around - centre
    if camera.turn:
        turn = camera.turn * intrinsics.fx[..., None]
        around_it = ways[..., 0] / turn
        doubtful = doubtful | ((around_it.detach().abs() - 0.5).abs() < band).any(-1, keepdim=True)
        ways = torch.stack([ways[..., 0] - turn * around_it.detach().round(), ways[..., 1]], dim=-1)
    # A point that is not seen is opposite to the one on the other side.
    there, opposite = visible[..., 1:, None], visible[..., [4, 5, 6, 1, 2, 3], None]
    mirrored = -ways[..., [3, 4, 5, 0, 1, 2], :]
    ways = torch.where(there, ways, torch.where(opposite, mirrored, 0.0))

    weights = torch.full((7, 1), 1 / (2 * spread), dtype=torch.float64)
    weights[0] = of_centre
    of_covariance = weights.clone()
    of_covariance[0] += 1 - alpha**2 + beta
    relative = torch.cat([torch.zeros_like(centre), ways], dim=-2)
    bend = (weights * relative).sum(-2)
    apart = relative - bend[..., None, :]
    covariances = (of_covariance * apart).mT @ apart

    size = torch.tensor([intrinsics.width, intrinsics.height], dtype=torch.float64)
    beyond = torch.maximum(-pixels.detach(), pixels.detach() - size) / size - margin
    inside = visible & (beyond <= 0).all(-1)
    doubtful = doubtful | (beyond.abs() < band).any(-1)
    counted = inside.all(-1) if all_points else inside.any(-1)
    return Moments(centre[..., 0, :] + bend, covariances, counted & visible[..., 0], doubtful.any(-1))


_AHEAD = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
