"""``torch.ops.gsplat_core.project``: fake kernels and derivatives (kernels: ``csrc/ops/project*.cpp``)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops.arguments import fake_kernel
from gsplat_core.ops.derivative import Derivative
from gsplat_core.ops.forward_mode import differentiable, map_over_directions


@fake_kernel("project")
def _(means: Tensor, viewmats: Tensor) -> tuple[Tensor, ...]:
    shape = (*viewmats.shape[:2], means.shape[1])
    return (
        means.new_empty(*shape, 2),
        means.new_empty(*shape, 3),
        means.new_empty(shape),
        means.new_empty(shape),
        means.new_empty(*shape, 2, dtype=torch.int32),
    )


@fake_kernel("project_backward")
def _(
    means: Tensor,
    quats: Tensor | None,
    scales: Tensor | None,
    covars: Tensor | None,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    lens: Tensor | None,
    needs_camera: bool,
) -> tuple[Tensor, ...]:
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
        like(lens, needs_camera),
    )


@fake_kernel("project_jvp")
def _(means: Tensor, viewmats: Tensor) -> tuple[Tensor, ...]:
    shape = (*viewmats.shape[:2], means.shape[1])
    return (
        means.new_empty(*shape, 2),
        means.new_empty(*shape, 3),
        means.new_empty(shape),
        means.new_empty(shape),
    )


_reverse = Derivative("project_backward", of="project")
_forward = Derivative("project_jvp", of="project")


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *_, radii = output
    _reverse.save(ctx, inputs, radii)


def _backward(
    ctx: Any, v_means2d: Tensor, v_shapes: Tensor, v_depths: Tensor, v_opacities2d: Tensor, _: None
) -> Any:
    shared, (radii,) = _reverse.saved(ctx)
    results = _reverse(
        shared,
        radii=radii,
        v_means2d=v_means2d,
        v_shapes=v_shapes,
        v_depths=v_depths,
        v_opacities2d=v_opacities2d,
        needs_camera=_reverse.needs(ctx, "viewmats", "Ks", "lens"),
    )
    return _reverse.gradients(ctx, results)


def _jvp(inputs: tuple[Any, ...], outputs: tuple[Tensor, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    *_, radii = outputs
    of_integers = None
    return *_forward(_forward.shared(inputs), radii=radii, **_forward.tangents(tangents)), of_integers


map_over_directions("project_backward")
map_over_directions("project_jvp")
project = differentiable("project", _setup_context, _backward, _jvp)
