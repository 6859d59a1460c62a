"""Scenes for the tests of codecs: with structure, as real ones have, and small."""

from __future__ import annotations

import torch

from gsplat_core.scene.gaussians import Gaussians


def scene(count: int = 1500, degree: int = 3, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    means = torch.nn.functional.normalize(normal(count, 3), dim=1) * (1 + 0.1 * normal(count, 1))
    far = torch.rand(count, generator=generator) < 0.1
    means[far] *= 30
    colour = torch.sin(3 * means / means.norm(dim=1, keepdim=True))
    return Gaussians(
        means=means + 5,
        quats=normal(count, 4) * 3,
        scales=-4 + normal(count, 3),
        opacities=2 * normal(count),
        sh0=colour[:, None] + 0.1 * normal(count, 1, 3),
        shN=0.1 * normal(count, (degree + 1) ** 2 - 1, 3),
    )


def covariances(gaussians: Gaussians) -> torch.Tensor:
    w, x, y, z = torch.nn.functional.normalize(gaussians.quats.double(), dim=1).unbind(dim=1)
    rotation = torch.stack(
        [
            torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=1),
            torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=1),
            torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=1),
        ],
        dim=1,
    )
    half = rotation * gaussians.scales.double().exp()[:, None]
    return half @ half.transpose(1, 2)
