"""What both trainers are given: views of a scene of known Gaussians, drawn by the float64 reference."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core import reference

WIDTH, HEIGHT, FOCAL = 48, 36, 50.0


def views(count: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """World-to-camera matrices [C, 4, 4], intrinsics [3, 3], images [C, H, W, 3] and points [200, 3]."""
    generator = torch.Generator().manual_seed(3)
    means = torch.rand(60, 3, generator=generator) * 2 - 1
    viewmats = torch.eye(4).repeat(count, 1, 1)
    for viewmat, angle in zip(viewmats, torch.linspace(-0.4, 0.4, count), strict=True):
        viewmat[0, 0] = viewmat[2, 2] = angle.cos()
        viewmat[0, 2], viewmat[2, 0] = angle.sin(), -angle.sin()
        viewmat[2, 3] = 4.0
    K = torch.tensor([[FOCAL, 0.0, WIDTH / 2], [0.0, FOCAL, HEIGHT / 2], [0.0, 0.0, 1.0]])
    images, _, _ = reference.rasterization(
        means, torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(60, 1), torch.full((60, 3), 0.15),
        torch.full((60,), 0.8), torch.rand(60, 3, generator=generator), viewmats, K.expand(count, 3, 3),
        WIDTH, HEIGHT,
    )  # fmt: skip
    points = means.repeat(4, 1)[:200] + 0.1 * torch.randn(200, 3, generator=generator)
    return viewmats, K, images.detach().float(), points
