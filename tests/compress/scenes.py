"""Scenes for the tests of codecs: with structure, as real ones have, and small."""

from __future__ import annotations

import torch

from gsplat_core.quaternions import rotation_matrices
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
    half = rotation_matrices(gaussians.quats.double()) * gaussians.scales.double().exp()[:, None]
    return half @ half.transpose(1, 2)
