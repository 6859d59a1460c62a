"""From splats to the pixels of one image."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.reference.compositors import Weights
from gsplat_core.reference.orders import of_pixels, swappable, swappable_along_rays
from gsplat_core.reference.payloads import Sink
from gsplat_core.reference.rays import Along, moved, nearest
from gsplat_core.reference.responses import MIN_ALPHA, Response


class Drawn(NamedTuple):
    """V splats of an image in the order of their list, nearest first."""

    means2d: Tensor  # [V, P, 2], the same for all pixels
    conics: Tensor
    opacities: Tensor
    extras: Tensor
    depths: Tensor
    colors: Tensor  # [V, D]
    payloads: Sink
    doubtful: Tensor
    ray_depths: Tensor | None = None  # [V, P], where pixels have an order of their own
    along: Along | None = None  # of responses along rays


class Image(NamedTuple):
    """[H, W, D] colours, [H, W, 1] alphas, [H, W, 1] probe, [H, W, 1] ambiguous, [V, H, W] weights, and of
    responses along rays [P] distances to where rays come nearest to Gaussians, blended."""

    colors: Tensor
    alphas: Tensor
    probe: Tensor
    ambiguous: Tensor
    weights: Tensor
    distances: Tensor | None = None


def blend(
    splats: Drawn,
    response: Response,
    compositor: Callable[[Tensor, float], Weights],
    width: int,
    height: int,
    max_alpha: float,
    band: float,
) -> Image:
    """Every splat meets every one of the P = width x height pixels."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([columns, rows], dim=-1).reshape(-1, 2).double() + 0.5
    means2d, probe = splats.payloads.watch(splats.means2d)
    dx, dy = (means2d - pixels).unbind(-1)
    near_edge, tau = torch.zeros_like(dx, dtype=torch.bool), None
    if splats.along is None:
        faded = splats.opacities[:, None] * response.seen(dx, dy, splats.conics, splats.extras)
    else:
        means = moved(splats.along, splats.means2d[:, 0], means2d, width, height)
        tau, squared = nearest(splats.along, means)
        faded = splats.opacities[:, None] * response.at(squared, splats.extras)
        a, b, c = splats.conics[:, :, None].detach().unbind(1)
        apart = (a * dx * dx + 2 * b * dx * dy + c * dy * dy).detach().sqrt()
        reach = splats.along.reach[:, None]
        near_edge = ((apart / reach.clamp(min=1e-10) - 1).abs() < band) | (
            tau.abs() < band * splats.depths[:, None]
        )
        near_edge &= faded > MIN_ALPHA * (1 - band)
        faded = torch.where((apart <= reach) & (tau >= 0), faded, 0.0)

    alphas = torch.where(faded < MIN_ALPHA, 0.0, faded.clamp(max=max_alpha))
    if splats.ray_depths is None:
        weights, near_finish = compositor(alphas, band)
    else:
        places = of_pixels(splats.ray_depths, alphas.detach() > 0)
        ordered = compositor(torch.zeros_like(alphas).scatter(0, places, alphas), band)
        weights, near_finish = (tensor.gather(0, places) for tensor in ordered)
    splats.payloads.weights = weights.detach()
    colors = weights.T @ splats.colors

    near_threshold = near_finish | near_edge | ((faded / MIN_ALPHA - 1).abs() < band)
    near_threshold |= (faded / max_alpha - 1).abs() < band
    touched = faded > MIN_ALPHA * (1 - band)
    ambiguous = near_threshold | (touched & splats.doubtful[:, None]) | swappable(splats.depths, touched)
    if splats.ray_depths is not None:
        ambiguous |= swappable_along_rays(splats.ray_depths, touched)
    shape = (height, width, -1)
    return Image(
        colors.reshape(shape), weights.sum(0).reshape(shape), probe.reshape(shape),
        ambiguous.any(0).reshape(shape), weights.reshape(-1, height, width),
        None if tau is None else (weights * torch.where(weights > 0, tau, 0.0)).sum(0),
    )  # fmt: skip
