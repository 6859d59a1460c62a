"""``torch.ops.gsplat_core.spherical_harmonics``: fake kernels and derivatives
(kernels: ``csrc/ops/spherical_harmonics*.cpp``)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gsplat_core.ops.arguments import fake_kernel
from gsplat_core.ops.derivative import Derivative
from gsplat_core.ops.forward_mode import differentiable, map_over_directions


@fake_kernel("spherical_harmonics")
def _(means: Tensor, radii: Tensor) -> Tensor:
    return means.new_empty(*radii.shape[:3], 3)


@fake_kernel("spherical_harmonics_backward")
def _(
    means: Tensor, viewmats: Tensor, sh0: Tensor, shN: Tensor | None, needs_camera: bool
) -> tuple[Tensor, ...]:
    return (
        means.new_empty(means.shape),
        means.new_empty(viewmats.shape if needs_camera else 0),
        means.new_empty(sh0.shape),
        means.new_empty(shN.shape if shN is not None else 0),
    )


@fake_kernel("spherical_harmonics_jvp")
def _(means: Tensor, radii: Tensor) -> Tensor:
    return means.new_empty(*radii.shape[:3], 3)


_reverse = Derivative("spherical_harmonics_backward", of="spherical_harmonics")
_forward = Derivative("spherical_harmonics_jvp", of="spherical_harmonics")


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _reverse.save(ctx, inputs, output)


def _backward(ctx: Any, v_colors: Tensor) -> Any:
    shared, (colors,) = _reverse.saved(ctx)
    needs_camera = _reverse.needs(ctx, "viewmats")
    results = _reverse(shared, colors=colors, v_colors=v_colors, needs_camera=needs_camera)
    return _reverse.gradients(ctx, results)


def _jvp(inputs: tuple[Any, ...], outputs: tuple[Tensor], tangents: tuple[Any, ...]) -> Tensor:
    (colors,) = outputs
    t_colors: Tensor = _forward(_forward.shared(inputs), colors=colors, **_forward.tangents(tangents))
    return t_colors


map_over_directions("spherical_harmonics_backward")
map_over_directions("spherical_harmonics_jvp")
spherical_harmonics = differentiable("spherical_harmonics", _setup_context, _backward, _jvp)
