"""``torch.ops.gsplat_core.composite``: fake kernels and derivatives
(kernels: ``csrc/ops/composite*.cpp``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import library as library
from gsplat_core.ops.forward_mode import differentiable, map_over_directions
from gsplat_core.ops.once import once


@torch.library.register_fake("gsplat_core::composite")
def _(
    means2d: Tensor,
    absgrad_carrier: Tensor | None,
    statistics_carrier: Tensor | None,
    shapes: Tensor,
    opacities2d: Tensor,
    colors: Tensor,
    backgrounds: Tensor | None,
    tile_offsets: Tensor,
    flatten_ids: Tensor,
    order: Tensor,
    slot_offsets: Tensor,
    slots: Tensor,
    width: int,
    height: int,
    tile_size: int,
    max_alpha: float,
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (means2d.shape[0], height, width)
    return (
        means2d.new_empty(*shape, colors.shape[-1]),
        means2d.new_empty(*shape, 1),
        means2d.new_empty(shape if statistics_carrier is not None else 0),
    )


@torch.library.register_fake("gsplat_core::composite_backward")
def _(
    means2d: Tensor,
    shapes: Tensor,
    opacities2d: Tensor,
    colors: Tensor,
    *others: Any,
) -> tuple[Tensor, ...]:
    v_probe, absgrad = others[-2:]
    return (
        means2d.new_empty(means2d.shape),
        means2d.new_empty(shapes.shape),
        means2d.new_empty(opacities2d.shape),
        means2d.new_empty(colors.shape),
        means2d.new_empty(means2d.shape if absgrad else 0),
        means2d.new_empty((*means2d.shape[:2], 3) if v_probe is not None else 0),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    means2d, _, _, *tensors, ctx.width, ctx.height, ctx.tile_size, ctx.max_alpha = inputs
    ctx.save_for_backward(means2d, *tensors, *output[:2])


def _backward(
    ctx: Any, v_colors_image: Tensor, v_alphas: Tensor, v_probe: Tensor
) -> tuple[Tensor | None, ...]:
    *tensors, out_colors, out_alphas = ctx.saved_tensors
    absgrad, statistics, wants_background = (ctx.needs_input_grad[i] for i in (1, 2, 6))
    v_means2d, v_shapes, v_opacities2d, v_colors, v_means2d_abs, v_statistics = once(
        torch.ops.gsplat_core.composite_backward.default,
        *tensors,
        ctx.width,
        ctx.height,
        ctx.tile_size,
        ctx.max_alpha,
        out_colors,
        out_alphas,
        v_colors_image,
        v_alphas,
        v_probe if statistics else None,
        absgrad,
    )
    # Rows first: a sum into few numbers at once would depend on the number of threads.
    v_backgrounds = ((1 - out_alphas) * v_colors_image).sum(2).sum(1) if wants_background else None
    return (
        v_means2d,
        v_means2d_abs if absgrad else None,
        v_statistics if statistics else None,
        v_shapes,
        v_opacities2d,
        v_colors,
        v_backgrounds,
        *[None] * 9,
    )


@torch.library.register_fake("gsplat_core::composite_jvp")
def _(
    means2d: Tensor, shapes: Tensor, opacities2d: Tensor, colors: Tensor, *others: Any
) -> tuple[Tensor, ...]:
    width, height = others[6:8]
    shape = (means2d.shape[0], height, width)
    return means2d.new_empty(*shape, colors.shape[-1]), means2d.new_empty(*shape, 1)


def _jvp(
    inputs: tuple[Any, ...], outputs: tuple[Tensor, ...], tangents: tuple[Any, ...]
) -> tuple[Tensor, ...]:
    means2d, _, _, *others = inputs
    _, alphas, probe = outputs
    t_means2d, _, _, t_shapes, t_opacities2d, t_colors, t_backgrounds, *_ = tangents
    t_image, t_alphas = once(
        torch.ops.gsplat_core.composite_jvp.default,
        means2d,
        *others,
        t_means2d,
        t_shapes,
        t_opacities2d,
        t_colors,
    )
    if t_backgrounds is not None:
        t_image = t_image + (1 - alphas) * t_backgrounds[:, None, None]
    return t_image, t_alphas, torch.zeros_like(probe)


map_over_directions("composite_backward")
map_over_directions("composite_jvp")
composite = differentiable("composite", _setup_context, _backward, _jvp)
