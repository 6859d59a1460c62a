"""Radiative fields: line integrals and values of a density that is a sum of Gaussians.

Zha et al., "R2-Gaussian: Rectifying Radiative Gaussian Splatting for Tomographic Reconstruction" (2024), with
the integral along the ray through the Gaussian's centre in closed form. As the renderer beside it: float64,
dense, autograd only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gsplat_core.reference.cameras import CAMERAS, Intrinsics
from gsplat_core.reference.gaussians import covariances, frames

_MODELS = {"cone": "pinhole", "parallel": "ortho"}


def project(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    densities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    beam: str,
    threshold: float,
) -> Tensor:
    """[C, height, width], see :func:`gsplat_core.radiative.project`."""
    means, viewmats, Ks = means.double(), viewmats.double(), Ks.double()
    rotation, translation = viewmats[:, None, :3, :3], viewmats[:, None, :3, 3]
    points = (rotation @ means[None, :, :, None])[..., 0] + translation
    seen = points[..., 2] > 0 if beam == "cone" else torch.ones_like(points[..., 2], dtype=torch.bool)
    points = torch.where(seen[..., None], points, points.new_tensor([0.0, 0.0, 1.0]))
    lens = Ks.new_zeros(len(Ks), 1, 0)
    fx, fy, cx, cy = (Ks[:, i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    intrinsics = Intrinsics(fx, fy, cx, cy, lens, width, height)
    camera = CAMERAS[_MODELS[beam]]
    centres = camera.pixel(points, intrinsics)
    linearized_at, _ = camera.linearized_at(points, intrinsics, 0.0)
    to_image = camera.jacobian(linearized_at, intrinsics) @ rotation
    spreads = to_image @ covariances(quats, scales, None) @ to_image.mT  # [C, N, 2, 2]

    # The density along a ray x + t r through the centre x is a Gaussian of t with the variance 1/k.
    rays = points / points.norm(dim=-1, keepdim=True)
    if beam == "parallel":
        rays = torch.zeros_like(points) + points.new_tensor([0.0, 0.0, 1.0])
    turned = frames(quats, scales, None) @ (rotation.mT @ rays[..., None])
    k = turned.square().sum((-2, -1))
    peaks = torch.where(seen, densities.double() * (2 * math.pi / k).sqrt(), 0.0)  # [C, N]

    pixels_x = torch.arange(width, dtype=torch.float64) + 0.5
    pixels_y = torch.arange(height, dtype=torch.float64) + 0.5
    grid = torch.stack(torch.meshgrid(pixels_x, pixels_y, indexing="xy"), dim=-1)
    offsets = grid - centres[..., None, None, :]  # [C, N, height, width, 2]
    precisions = torch.linalg.inv(spreads)[..., None, None, :, :]
    q = (offsets * (precisions @ offsets[..., None])[..., 0]).sum(-1)
    shares = peaks[..., None, None] * (-0.5 * q).exp()
    return torch.where(shares >= threshold, shares, 0.0).sum(1)


def voxelize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    densities: Tensor,
    origin: Sequence[float],
    spacing: Sequence[float],
    shape: Sequence[int],
    threshold: float,
) -> Tensor:
    """[nx, ny, nz], see :func:`gsplat_core.radiative.voxelize`."""
    axes = [
        start + step * (torch.arange(count, dtype=torch.float64) + 0.5)
        for start, step, count in zip(origin, spacing, shape, strict=True)
    ]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    offsets = grid - means.double()[:, None, None, None]  # [N, nx, ny, nz, 3]
    turned = frames(quats, scales, None)[:, None, None, None] @ offsets[..., None]
    q = turned.square().sum((-2, -1))
    shares = densities.double()[:, None, None, None] * (-0.5 * q).exp()
    return torch.where(shares >= threshold, shares, 0.0).sum(0)
