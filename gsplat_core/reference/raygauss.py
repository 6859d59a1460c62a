"""Rays through a density made of Gaussians, by the equations of Blanc, Deschaud and Paljic, "RayGauss:
Volumetric Gaussian-Based Ray Casting for Photorealistic Novel View Synthesis" (2025): every Gaussian is
looked at in every sample of every ray."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.reference.gaussians import frames

LEAST_TRANSMITTANCE = 0.003
"""A ray ends behind the sample that lets less than this through."""
_PAIRS = 4_000_000  # of samples and Gaussians that are looked at together


class March(NamedTuple):
    """Of P rays: colours [P, 3] with the background, what passes [P], and [P] whether float32 may decide
    otherwise which terms or samples count."""

    colors: Tensor
    transmittances: Tensor
    ambiguous: Tensor


def march(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    densities: Tensor,
    colors: Tensor,
    origins: Tensor,
    directions: Tensor,
    *,
    step: float,
    starts: Tensor,
    far: float,
    background: Tensor | None = None,
    threshold: float = 0.1,
    band: float = 1e-3,
) -> March:
    """Differentiable, in float64.

    Args:
        means, quats, scales, densities, colors: of N Gaussians, [N, 3], [N, 4], [N, 3], [N] and [N, 3].
        origins, directions: [P, 3] in the world; directions of the length 1.
        step: between samples.
        starts: [P] how far away the first sample is; none is as far away as `far`.
        background: [3]; None: black.
        threshold: a term of at most this density is none.
        band: how far from a bound, relative to it, float32 may be wrong about it.
    """
    means, densities, colors, origins, directions, starts = (
        tensor.double() for tensor in (means, densities, colors, origins, directions, starts)
    )
    to_normal = frames(quats, scales, None)
    samples = max(0, int(torch.ceil((far - starts.min()) / step))) if len(starts) else 0
    together = max(1, _PAIRS // max(1, samples * len(means)))
    parts = [
        _some(means, to_normal, densities, colors, o, d, t, step, samples, far, background, threshold, band)
        for o, d, t in zip(*(t.split(together) for t in (origins, directions, starts)), strict=True)
    ]
    return March(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _some(
    means: Tensor,
    to_normal: Tensor,
    densities: Tensor,
    colors: Tensor,
    origins: Tensor,
    directions: Tensor,
    starts: Tensor,
    step: float,
    samples: int,
    far: float,
    background: Tensor | None,
    threshold: float,
    band: float,
) -> March:
    along = starts[:, None] + step * torch.arange(samples, dtype=torch.float64)
    places = origins[:, None] + along[..., None] * directions[:, None]
    away = torch.einsum("nij,pknj->pkni", to_normal, places[:, :, None] - means)
    terms = densities * torch.exp(-0.5 * away.square().sum(-1))  # [P, K, N]
    counts = (terms > threshold) & (along < far)[..., None]
    doubtful = ((terms / threshold - 1).abs() < band).any(-1)
    terms = torch.where(counts, terms, 0.0)
    density = terms.sum(-1)
    emitted = terms @ colors / torch.where(density > 0, density, 1.0)[..., None]

    thickness = density * step
    passed = torch.exp(-(thickness.cumsum(-1) - thickness))  # before each sample
    alive = passed >= LEAST_TRANSMITTANCE
    doubtful = (doubtful & alive).any(-1) | ((passed / LEAST_TRANSMITTANCE - 1).abs() < band).any(-1)
    weights = torch.where(alive, passed * -torch.expm1(-thickness), 0.0)
    left = torch.exp(-torch.where(alive, thickness, 0.0).sum(-1))
    seen = (weights[..., None] * emitted).sum(-2)
    if background is not None:
        seen = seen + left[:, None] * background.double()
    return March(seen, left, doubtful)
