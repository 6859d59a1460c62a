"""The operators of radiative fields: contracts of torch.library, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from backends import opcheck
from radiative.fields import HEIGHT, WIDTH, detectors, field
from torch import Tensor

from gsplat_core.ops import radiative as _radiative  # noqa: F401  (registers the fake kernels)
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Splats, bin_splats

OP = torch.ops.gsplat_core
SETTINGS = RenderSettings(eps2d=0.0, near_plane=0.0)


def _projected() -> tuple[list[Tensor], Splats, tuple[Tensor, Tensor]]:
    """Arguments of the projection that are tensors, its splats, and their lists."""
    means, quats, scales, densities = (tensor[None] for tensor in field(25))
    viewmats, Ks = (tensor[None] for tensor in detectors("cone"))
    tensors = [means, quats, scales, densities, viewmats, Ks]
    rest = (None, "pinhole", WIDTH, HEIGHT, SETTINGS.numbers(), None, None)
    splats = Splats(*OP.project_integrals(means, quats, scales, None, densities, viewmats, Ks, *rest))
    lists = bin_splats(splats, WIDTH, HEIGHT, SETTINGS)
    return tensors, splats, (lists.offsets, lists.flatten_ids)


@pytest.mark.usefixtures("backend")
def test_opcheck_of_the_projection() -> None:
    (means, quats, scales, densities, viewmats, Ks), splats, _ = _projected()
    gaussians = [means, quats, scales, None, densities, viewmats, Ks, None, "pinhole", WIDTH, HEIGHT]
    opcheck(OP.project_integrals.default, (*gaussians, SETTINGS.numbers()))
    gradients = [torch.rand_like(tensor) for tensor in splats[:4]]
    for needs_camera in (False, True):
        arguments = (*gaussians, SETTINGS.numbers(), splats.radii, *gradients, needs_camera)
        opcheck(OP.project_integrals_backward.default, arguments)


@pytest.mark.usefixtures("backend")
def test_opcheck_of_the_sums() -> None:
    _, splats, lists = _projected()
    shown = [tensor[0].requires_grad_() for tensor in (splats.means2d, splats.shapes, splats.opacities)]
    opcheck(OP.sum_splats.default, (*shown, *lists, WIDTH, HEIGHT, SETTINGS.numbers(), 0.5))
    v = torch.rand(2, HEIGHT, WIDTH)
    fixed = [tensor.detach() for tensor in shown]
    opcheck(OP.sum_splats_backward.default, (*fixed, WIDTH, HEIGHT, 0.5, v))


@pytest.mark.usefixtures("backend")
def test_opcheck_of_voxels() -> None:
    gaussians = [tensor.requires_grad_() for tensor in field(25)]
    radii, offsets = (
        torch.ones(25, 2, dtype=torch.int32),
        torch.tensor([0, 25, 25, 25, 25], dtype=torch.int32),
    )
    grid = ([-1.0, -1.0, -1.0], [0.2, 0.2, 0.2], 9, 10, 11, 0.5)
    lists = (offsets, torch.arange(25, dtype=torch.int32))
    opcheck(OP.voxelize.default, (*gaussians, radii, *lists, *grid))
    fixed = [tensor.detach() for tensor in gaussians]
    opcheck(OP.voxelize_backward.default, (*fixed, radii, *grid, torch.rand(9, 10, 11)))


@pytest.mark.usefixtures("backend")
def test_wrong_arguments_are_named() -> None:
    (means, quats, scales, densities, viewmats, Ks), splats, (offsets, ids) = _projected()
    rest = (WIDTH, HEIGHT, SETTINGS.numbers(), None, None)
    covars = torch.rand(1, 25, 6)
    with pytest.raises(RuntimeError, match="'camera' must be 'pinhole' or 'ortho'"):
        OP.project_integrals(
            means, quats, scales, None, densities, viewmats, Ks, None, "equirectangular", *rest
        )
    with pytest.raises(RuntimeError, match="need 'quats' and 'scales'"):
        OP.project_integrals(means, None, None, covars, densities, viewmats, Ks, None, "ortho", *rest)
    shown = (splats.means2d[0], splats.shapes[0], splats.opacities[0])
    with pytest.raises(RuntimeError, match=r"'tile_offsets' must have shape \[19\]"):
        OP.sum_splats(*shown, offsets[1:], ids, WIDTH, HEIGHT, SETTINGS.numbers(), 1.0)
    with pytest.raises(RuntimeError, match="'unit' must be positive, got 0"):
        OP.sum_splats(*shown, offsets, ids, WIDTH, HEIGHT, SETTINGS.numbers(), 0.0)
    gaussians = [*field(25), torch.ones(25, 2, dtype=torch.int32)]
    with pytest.raises(RuntimeError, match="'v_volume' must have shape"):
        OP.voxelize_backward(*gaussians, [0.0] * 3, [1.0] * 3, 4, 4, 4, 1.0, torch.zeros(4, 4, 5))
    with pytest.raises(RuntimeError, match="'spacing' must be positive"):
        OP.voxelize_backward(*gaussians, [0.0] * 3, [1.0, 1.0, 0.0], 4, 4, 4, 1.0, torch.zeros(4, 4, 4))
