"""``torch.ops.gsplat_core.spherical_harmonics``: fake kernels and derivatives
(kernels: ``csrc/ops/spherical_harmonics*.cpp``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import library as library
from gsplat_core.ops.forward_mode import differentiable, map_over_directions
from gsplat_core.ops.once import once


@torch.library.register_fake("gsplat_core::spherical_harmonics")
def _(degree: int, means: Tensor, viewmats: Tensor, sh0: Tensor, shN: Tensor | None, radii: Tensor) -> Tensor:
    return means.new_empty(*radii.shape[:3], 3)


@torch.library.register_fake("gsplat_core::spherical_harmonics_backward")
def _(
    degree: int,
    means: Tensor,
    viewmats: Tensor,
    sh0: Tensor,
    shN: Tensor | None,
    radii: Tensor,
    colors: Tensor,
    v_colors: Tensor,
    needs_camera: bool,
) -> tuple[Tensor, ...]:
    return (
        means.new_empty(means.shape),
        means.new_empty(viewmats.shape if needs_camera else 0),
        means.new_empty(sh0.shape),
        means.new_empty(shN.shape if shN is not None else 0),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.degree, *tensors = inputs
    ctx.save_for_backward(*tensors, output)


def _backward(ctx: Any, v_colors: Tensor) -> tuple[Tensor | None, ...]:
    needs_camera = ctx.needs_input_grad[2]
    v_means, v_viewmats, v_sh0, v_shN = once(
        torch.ops.gsplat_core.spherical_harmonics_backward.default,
        ctx.degree,
        *ctx.saved_tensors,
        v_colors,
        needs_camera,
    )
    return (
        None,
        v_means,
        v_viewmats if needs_camera else None,
        v_sh0,
        v_shN if ctx.needs_input_grad[4] else None,
        None,
    )


@torch.library.register_fake("gsplat_core::spherical_harmonics_jvp")
def _(
    degree: int, means: Tensor, viewmats: Tensor, sh0: Tensor, shN: Tensor | None, *others: Tensor
) -> Tensor:
    return means.new_empty(*others[0].shape[:3], 3)


def _jvp(inputs: tuple[Any, ...], outputs: tuple[Tensor], tangents: tuple[Any, ...]) -> Tensor:
    return once(torch.ops.gsplat_core.spherical_harmonics_jvp.default, *inputs, *outputs, *tangents[1:5])


map_over_directions("spherical_harmonics_backward")
map_over_directions("spherical_harmonics_jvp")
spherical_harmonics = differentiable("spherical_harmonics", _setup_context, _backward, _jvp)
