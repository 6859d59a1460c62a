"""``torch.ops.gsplat_core.cast_rays``: rays through a density made of Gaussians, with fake kernels and
derivative (kernel: ``csrc/ops/volume.cpp``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import reverse_mode
from gsplat_core.ops.arguments import fake_kernel
from gsplat_core.ops.once import once

Seen = tuple[Tensor, Tensor]
FRAME = 12  # numbers


def cast_rays(
    frames: Tensor,
    densities: Tensor,
    colors: Tensor,
    reaches: Tensor,
    rays: Tensor,
    lists: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    tile_size: int,
    *,
    step: float,
    near: float,
    far: float,
    threshold: float,
) -> Seen:
    """Colours and transmittances of all pixels of I images; what a Gaussian is to a ray is in
    ``csrc/math/volume.h``.

    Args:
        frames: [I, N, 12], :attr:`gsplat_core.render.rays.Rays.canonical`.
        densities: [I, N]; colors: [I, N, 3].
        reaches: [I, N, 2] no ray meets a Gaussian nearer than the first or farther away than the second.
        rays: [I, H, W, 7]: directions of the length 1, zero where a pixel has no ray; origins minus the
            camera's centre; distances of the first samples, between `near` and a step behind it.
        lists: of tiles as :func:`gsplat_core.render.stages.bin_splats` makes them, sorted by the first
            reaches.
        step, near, far, threshold: see :func:`gsplat_core.raygauss.raycast`.

    Returns:
        [I, H, W, 3], without a background, and [I, H, W]. Differentiable with respect to frames, densities,
        colours, directions and origins.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    seen: Seen = _cast_rays(
        frames, densities, colors, reaches, rays, *lists, tile_size, step, near, far, threshold
    )
    return seen


@fake_kernel("cast_rays")
def _(rays: Tensor) -> Seen:
    return rays.new_empty(*rays.shape[:-1], 3), rays.new_empty(rays.shape[:-1])


@fake_kernel("cast_rays_backward")
def _(frames: Tensor, rays: Tensor, wants_rays: bool) -> Seen:
    of_rays = rays.new_empty(*rays.shape[:-1], 6) if wants_rays else rays.new_empty(0)
    return frames.new_empty(*frames.shape[:-1], FRAME + 4), of_rays


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Seen) -> None:
    *tensors, ctx.tile_size, ctx.step, ctx.near, ctx.far, ctx.threshold = inputs
    ctx.save_for_backward(*tensors, *output)


def _backward(ctx: Any, v_seen: Tensor, v_transmittances: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, seen, transmittances = ctx.saved_tensors
    of_gaussians, of_rays = once(
        torch.ops.gsplat_core.cast_rays_backward, *tensors, ctx.tile_size, ctx.step, ctx.near, ctx.far,
        ctx.threshold, seen, transmittances, v_seen, v_transmittances, ctx.needs_input_grad[4],
    )  # fmt: skip
    frames, densities, colors = of_gaussians.split([FRAME, 1, 3], dim=-1)
    rays = torch.nn.functional.pad(of_rays, (0, 1)) if ctx.needs_input_grad[4] else None
    return frames, densities[..., 0], colors, None, rays, *[None] * 10


_cast_rays = reverse_mode.only_in_reverse("cast_rays", _setup_context, _backward)
