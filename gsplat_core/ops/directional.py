"""``torch.ops.gsplat_core.directional_slices``: what a camera sees of Gaussians over places and directions.

Fake kernels and derivative (kernel: ``csrc/ops/directional.cpp``), and the same in plain PyTorch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import reverse_mode
from gsplat_core.ops.arguments import fake_kernel
from gsplat_core.ops.once import has_tangents, once
from gsplat_core.quaternions import rotation_matrices

Slices = tuple[Tensor, Tensor]


def directional_slices(
    means: Tensor,
    opacities: Tensor,
    directions: Tensor,
    lobe_quats: Tensor,
    lobe_scales: Tensor,
    slopes: Tensor,
    centre: Tensor,
    falloff: float,
    detached: bool = False,
) -> Slices:
    """Centres and opacities of the slices along the directions from a camera to the means.

    With y the offset of that direction from `directions`, in units of the lobe's standard deviations and
    along its axes, the centre is shifted by the sum of y_k times row k of `slopes`, and the opacity is
    multiplied by exp(-falloff |y|^2). One pass over memory in each direction; plain PyTorch for other types
    than float32 and in forward mode.

    Args:
        means: [N, 3] in world space.
        opacities: [N] in [0, 1].
        directions: [N, 3] the middle of each lobe, of any length.
        lobe_quats: [N, 4] its axes as a rotation (w, x, y, z) of any length but zero.
        lobe_scales: [N, 3] logarithms of its standard deviations.
        slopes: [N, 3, 3] scene units.
        centre: [3] of the camera.
        falloff: of opacities.
        detached: whether the direction is a constant to the means.

    Returns:
        means [N, 3] and opacities [N], differentiable.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    inputs = (means, opacities, directions, lobe_quats, lobe_scales, slopes, centre)
    transformed = torch._C._are_functorch_transforms_active() and not torch.compiler.is_compiling()
    if transformed or means.dtype != torch.float32 or has_tangents(inputs):
        return formula(*inputs, falloff, detached)
    slices: Slices = _directional_slices(*inputs, falloff, detached)
    return slices


def formula(
    means: Tensor,
    opacities: Tensor,
    directions: Tensor,
    lobe_quats: Tensor,
    lobe_scales: Tensor,
    slopes: Tensor,
    centre: Tensor,
    falloff: float,
    detached: bool,
) -> Slices:
    """The same in PyTorch, for whoever differentiates in other ways or types."""
    places = means.detach() if detached else means
    offsets = torch.nn.functional.normalize(places - centre, dim=1) - directions
    turned = (offsets[:, :, None] * rotation_matrices(lobe_quats)).sum(dim=1)
    y = turned * (-lobe_scales).exp()
    shifts = (y[:, :, None] * slopes).sum(dim=1)
    return means + shifts, opacities * (-falloff * y.square().sum(dim=1)).exp()


@fake_kernel("directional_slices")
def _(means: Tensor, opacities: Tensor) -> Slices:
    return torch.empty_like(means), torch.empty_like(opacities)


@fake_kernel("directional_slices_backward")
def _(
    means: Tensor,
    opacities: Tensor,
    directions: Tensor,
    lobe_quats: Tensor,
    lobe_scales: Tensor,
    slopes: Tensor,
    wants_along: bool,
) -> tuple[Tensor, ...]:
    of_rows = tuple(
        torch.empty_like(x) for x in (means, opacities, directions, lobe_quats, lobe_scales, slopes)
    )
    return (*of_rows, torch.empty_like(means) if wants_along else means.new_empty(0))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Slices) -> None:
    *tensors, ctx.falloff, ctx.detached = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, v_means: Tensor, v_opacities: Tensor) -> tuple[Tensor | None, ...]:
    wants_centre = ctx.needs_input_grad[6]
    *of_rows, along = once(
        torch.ops.gsplat_core.directional_slices_backward, *ctx.saved_tensors, ctx.falloff, ctx.detached,
        v_means, v_opacities, wants_centre,
    )  # fmt: skip
    # In double precision: then the last bit of the sum does not depend on its order.
    of_centre = -along.sum(dim=0, dtype=torch.float64).to(along.dtype) if wants_centre else None
    return (*of_rows, of_centre, None, None)


_directional_slices = reverse_mode.differentiable("directional_slices", _setup_context, _backward)
