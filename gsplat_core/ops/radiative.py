"""``torch.ops.gsplat_core.project_integrals``, ``sum_splats`` and ``voxelize``: fake kernels and derivatives
(kernels: ``csrc/ops/radiative.cpp``).

Sums without order: the lists say where splats are looked for, and have no derivative.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import reverse_mode
from gsplat_core.ops.arguments import fake_kernel
from gsplat_core.ops.derivative import Derivative

LEAST = 1 / 255
"""The least contribution that counts, as projection and binning know it of opacities; units are made of it
(csrc/raster/radiative.h)."""


@fake_kernel("project_integrals")
def _(means: Tensor, viewmats: Tensor) -> tuple[Tensor, ...]:
    shape = (*viewmats.shape[:2], means.shape[1])
    floats = (
        means.new_empty(*shape, 2),
        means.new_empty(*shape, 3),
        means.new_empty(shape),
        means.new_empty(shape),
    )
    return (*floats, means.new_empty(*shape, 2, dtype=torch.int32))


@fake_kernel("project_integrals_backward")
def _(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    needs_camera: bool,
) -> tuple[Tensor, ...]:
    def like(tensor: Tensor, wanted: bool = True) -> Tensor:
        return means.new_empty(tensor.shape if wanted else 0)

    cameras = (like(viewmats, needs_camera), like(Ks, needs_camera), like(Ks, False))
    return (like(means), like(quats), like(scales), like(means, False), like(opacities), *cameras)


@fake_kernel("sum_splats")
def _(means2d: Tensor, width: int, height: int) -> Tensor:
    return means2d.new_empty(means2d.shape[0], height, width)


@fake_kernel("sum_splats_backward")
def _(means2d: Tensor, shapes: Tensor, opacities2d: Tensor) -> tuple[Tensor, ...]:
    return torch.empty_like(means2d), torch.empty_like(shapes), torch.empty_like(opacities2d)


@fake_kernel("voxelize")
def _(means: Tensor, nx: int, ny: int, nz: int) -> Tensor:
    return means.new_empty(nx, ny, nz)


@fake_kernel("voxelize_backward")
def _(means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(x) for x in (means, quats, scales, opacities))


_projected = Derivative("project_integrals_backward", of="project_integrals")


def _setup_projection(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *_, radii = output
    _projected.save(ctx, inputs, radii)


def _projection_backward(
    ctx: Any, v_means2d: Tensor, v_shapes: Tensor, v_depths: Tensor, v_opacities2d: Tensor, _: None
) -> Any:
    shared, (radii,) = _projected.saved(ctx)
    results = _projected(
        shared,
        radii=radii,
        v_means2d=v_means2d,
        v_shapes=v_shapes,
        v_depths=v_depths,
        v_opacities2d=v_opacities2d,
        needs_camera=_projected.needs(ctx, "viewmats", "Ks"),
    )
    return _projected.gradients(ctx, results)


_summed = Derivative("sum_splats_backward", of="sum_splats")
_filled = Derivative("voxelize_backward", of="voxelize")


def _setup_sums(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _summed.save(ctx, inputs)


def _sums_backward(ctx: Any, v_sums: Tensor) -> Any:
    return _summed.gradients(ctx, _summed(_summed.saved(ctx)[0], v_sums=v_sums))


def _setup_voxels(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _filled.save(ctx, inputs)


def _voxels_backward(ctx: Any, v_volume: Tensor) -> Any:
    return _filled.gradients(ctx, _filled(_filled.saved(ctx)[0], v_volume=v_volume))


project_integrals = reverse_mode.only_in_reverse("project_integrals", _setup_projection, _projection_backward)
sum_splats = reverse_mode.only_in_reverse("sum_splats", _setup_sums, _sums_backward)
voxelize = reverse_mode.only_in_reverse("voxelize", _setup_voxels, _voxels_backward)
