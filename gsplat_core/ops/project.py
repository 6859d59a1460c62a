"""``torch.ops.gsplat_core.project``: fake kernels and derivatives (kernels: ``csrc/ops/project*.cpp``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import library as library
from gsplat_core.ops.forward_mode import differentiable, map_over_directions
from gsplat_core.ops.once import once


@torch.library.register_fake("gsplat_core::project")
def _(
    means: Tensor,
    quats: Tensor | None,
    scales: Tensor | None,
    covars: Tensor | None,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    *settings: Any,
) -> tuple[Tensor, ...]:
    shape = (*viewmats.shape[:2], means.shape[1])
    return (
        means.new_empty(*shape, 2),
        means.new_empty(*shape, 3),
        means.new_empty(shape),
        means.new_empty(shape),
        means.new_empty(*shape, 2, dtype=torch.int32),
    )


@torch.library.register_fake("gsplat_core::project_backward")
def _(
    means: Tensor,
    quats: Tensor | None,
    scales: Tensor | None,
    covars: Tensor | None,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    *settings_and_gradients: Any,
) -> tuple[Tensor, ...]:
    needs_camera = settings_and_gradients[-1]

    def like(tensor: Tensor | None, present: bool = True) -> Tensor:
        return means.new_empty(tensor.shape if tensor is not None and present else 0)

    return (
        like(means),
        like(quats),
        like(scales),
        like(covars),
        like(opacities),
        like(viewmats, needs_camera),
        like(Ks, needs_camera),
    )


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.width, ctx.height, ctx.eps2d, ctx.near, ctx.far, ctx.radius_clip, ctx.antialiased = inputs
    radii = output[-1]
    ctx.save_for_backward(*tensors, radii)


def _backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, radii = ctx.saved_tensors
    settings = (ctx.width, ctx.height, ctx.eps2d, ctx.near, ctx.far, ctx.radius_clip, ctx.antialiased)
    v_splats = gradients[:4]  # radii are integers
    needs_camera = ctx.needs_input_grad[5] or ctx.needs_input_grad[6]
    v_tensors = once(
        torch.ops.gsplat_core.project_backward.default, *tensors, *settings, radii, *v_splats, needs_camera
    )
    wanted = ctx.needs_input_grad[: len(v_tensors)]
    return (
        *(v if needed else None for v, needed in zip(v_tensors, wanted, strict=True)),
        *[None] * len(settings),
    )


@torch.library.register_fake("gsplat_core::project_jvp")
def _(means: Tensor, *others: Any) -> tuple[Tensor, ...]:
    shape = (*others[4].shape[:2], means.shape[1])
    return (
        means.new_empty(*shape, 2),
        means.new_empty(*shape, 3),
        means.new_empty(shape),
        means.new_empty(shape),
    )


def _jvp(inputs: tuple[Any, ...], outputs: tuple[Tensor, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    radii = outputs[-1]
    return (*once(torch.ops.gsplat_core.project_jvp.default, *inputs, radii, *tangents[:7]), None)


map_over_directions("project_backward")
map_over_directions("project_jvp")
project = differentiable("project", _setup_context, _backward, _jvp)
