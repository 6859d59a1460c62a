"""``torch.ops.gsplat_core.activate``: fake kernels and derivative (kernel: ``csrc/ops/activations.cpp``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops.forward_mode import differentiable, map_over_directions
from gsplat_core.ops.once import is_differentiated


@torch.library.register_fake("gsplat_core::activate")
def _(log_scales: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    return log_scales.new_empty(log_scales.shape), logits.new_empty(logits.shape)


@torch.library.register_fake("gsplat_core::activate_backward")
def _(scales: Tensor, opacities: Tensor, v_scales: Tensor, v_opacities: Tensor) -> tuple[Tensor, Tensor]:
    return scales.new_empty(scales.shape), opacities.new_empty(opacities.shape)


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*output)


def _backward(ctx: Any, v_scales: Tensor, v_opacities: Tensor) -> tuple[Tensor, ...]:
    scales, opacities = ctx.saved_tensors
    return _product(scales, opacities, v_scales, v_opacities)


def _jvp(inputs: tuple[Any, ...], outputs: tuple[Tensor, ...], tangents: tuple[Tensor, ...]) -> Any:
    # Each number depends on one number only, so the two modes are the same product.
    if is_differentiated((*inputs, *tangents)):  # outputs have no tangents of outer transforms yet
        outputs = activate(*inputs)
    return _product(*outputs, *tangents)


def _product(scales: Tensor, opacities: Tensor, v_scales: Tensor, v_opacities: Tensor) -> tuple[Tensor, ...]:
    """Tangents or gradients times the derivatives of the two outputs."""
    inputs = (scales, opacities, v_scales, v_opacities)
    if is_differentiated(inputs):  # again: by formulas that PyTorch can differentiate
        return v_scales * scales, v_opacities * opacities * (1 - opacities)
    return torch.ops.gsplat_core.activate_backward(*inputs)


map_over_directions("activate_backward")
activate = differentiable("activate", _setup_context, _backward, _jvp)
