"""``torch.ops.gsplat_core.project_surfels``: fake kernels and derivatives
(kernels: ``csrc/ops/project_surfels.cpp``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops.arguments import fake_kernel
from gsplat_core.ops.derivative import Derivative
from gsplat_core.ops.forward_mode import differentiable, map_over_directions

_CANONICAL = 12


@fake_kernel("project_surfels")
def _(means: Tensor, viewmats: Tensor) -> tuple[Tensor, ...]:
    shape = (*viewmats.shape[:2], means.shape[1])
    return (
        means.new_empty(*shape, 2),
        means.new_empty(*shape, 3),
        means.new_empty(shape),
        means.new_empty(shape),
        means.new_empty(*shape, 2, dtype=torch.int32),
        means.new_empty(*shape, _CANONICAL),
    )


@fake_kernel("project_surfels_backward")
def _(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    needs_camera: bool,
) -> tuple[Tensor, ...]:
    rows = tuple(means.new_empty(tensor.shape) for tensor in (means, quats, scales, opacities))
    return (*rows, *(means.new_empty(tensor.shape if needs_camera else 0) for tensor in (viewmats, Ks)))


@fake_kernel("project_surfels_jvp")
def _(means: Tensor, viewmats: Tensor) -> tuple[Tensor, ...]:
    shape = (*viewmats.shape[:2], means.shape[1])
    return means.new_empty(shape), means.new_empty(shape), means.new_empty(*shape, _CANONICAL)


_reverse = Derivative("project_surfels_backward", of="project_surfels")
_forward = Derivative("project_surfels_jvp", of="project_surfels")


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *_, radii, _ = output
    _reverse.save(ctx, inputs, radii)


def _backward(
    ctx: Any, _means2d: Tensor, _shapes: Tensor, v_depths: Tensor, v_opacities2d: Tensor, _: None, v: Tensor
) -> Any:
    shared, (radii,) = _reverse.saved(ctx)
    results = _reverse(
        shared,
        radii=radii,
        v_depths=v_depths,
        v_opacities2d=v_opacities2d,
        v_canonical=v,
        needs_camera=_reverse.needs(ctx, "viewmats", "Ks"),
    )
    return _reverse.gradients(ctx, results)


def _jvp(inputs: tuple[Any, ...], outputs: tuple[Tensor, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    means2d, shapes, _, _, radii, _ = outputs
    t_depths, t_opacities2d, t_canonical = _forward(
        _forward.shared(inputs), radii=radii, **_forward.tangents(tangents)
    )
    of_integers = None
    return (
        torch.zeros_like(means2d),
        torch.zeros_like(shapes),
        t_depths,
        t_opacities2d,
        of_integers,
        t_canonical,
    )


map_over_directions("project_surfels_backward")
map_over_directions("project_surfels_jvp")
project_surfels = differentiable("project_surfels", _setup_context, _backward, _jvp)
