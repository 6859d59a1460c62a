"""``torch.ops.gsplat_core.composite``: fake kernels and derivatives
(kernels: ``csrc/ops/composite*.cpp``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops.arguments import fake_kernel, pick
from gsplat_core.ops.derivative import Derivative
from gsplat_core.ops.forward_mode import differentiable, map_over_directions


@fake_kernel("composite")
def _(
    means2d: Tensor, statistics_carrier: Tensor | None, colors: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (means2d.shape[0], height, width)
    return (
        means2d.new_empty(*shape, colors.shape[-1]),
        means2d.new_empty(*shape, 1),
        means2d.new_empty(shape if statistics_carrier is not None else 0),
    )


@fake_kernel("composite_backward")
def _(
    means2d: Tensor,
    shapes: Tensor,
    opacities2d: Tensor,
    colors: Tensor,
    extras: Tensor | None,
    v_probe: Tensor | None,
    absgrad: bool,
) -> tuple[Tensor, ...]:
    return (
        means2d.new_empty(means2d.shape),
        means2d.new_empty(shapes.shape),
        means2d.new_empty(opacities2d.shape),
        means2d.new_empty(colors.shape),
        means2d.new_empty(means2d.shape if absgrad else 0),
        means2d.new_empty((*means2d.shape[:2], 3) if v_probe is not None else 0),
        means2d.new_empty(0 if extras is None else extras.shape),
    )


@fake_kernel("composite_jvp")
def _(means2d: Tensor, colors: Tensor, width: int, height: int) -> tuple[Tensor, ...]:
    shape = (means2d.shape[0], height, width)
    return means2d.new_empty(*shape, colors.shape[-1]), means2d.new_empty(*shape, 1)


_reverse = Derivative("composite_backward", of="composite")
_forward = Derivative("composite_jvp", of="composite")
_backgrounds = pick("composite", ["backgrounds"])


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    out_colors, out_alphas, _ = output
    _reverse.save(ctx, inputs, out_colors, out_alphas)


def _backward(ctx: Any, v_out_colors: Tensor, v_out_alphas: Tensor, v_probe: Tensor) -> Any:
    shared, (out_colors, out_alphas) = _reverse.saved(ctx)
    results = _reverse(
        shared,
        out_colors=out_colors,
        out_alphas=out_alphas,
        v_out_colors=v_out_colors,
        v_out_alphas=v_out_alphas,
        v_probe=v_probe if _reverse.needs(ctx, "statistics_carrier") else None,
        absgrad=_reverse.needs(ctx, "absgrad_carrier"),
    )
    v_backgrounds = None
    if _reverse.needs(ctx, "backgrounds"):
        # Rows first: a sum into few numbers at once would depend on the number of threads.
        v_backgrounds = ((1 - out_alphas) * v_out_colors).sum(2).sum(1)
    return _reverse.gradients(ctx, results, backgrounds=v_backgrounds)


def _jvp(
    inputs: tuple[Any, ...], outputs: tuple[Tensor, ...], tangents: tuple[Any, ...]
) -> tuple[Tensor, ...]:
    _, alphas, probe = outputs
    t_image, t_alphas = _forward(_forward.shared(inputs), **_forward.tangents(tangents))
    (t_backgrounds,) = _backgrounds(tangents)
    if t_backgrounds is not None:
        t_image = t_image + (1 - alphas) * t_backgrounds[:, None, None]
    return t_image, t_alphas, torch.zeros_like(probe)


map_over_directions("composite_backward")
map_over_directions("composite_jvp")
composite = differentiable("composite", _setup_context, _backward, _jvp)
