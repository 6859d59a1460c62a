"""The contracts of the operators `cast_rays`; what they compute is in `tests/test_raygauss.py`."""

from __future__ import annotations

import pytest
import torch
from backends import opcheck
from torch import Tensor

from gsplat_core.ops import volume  # noqa: F401  (registers what the operators need besides kernels)

OP = torch.ops.gsplat_core


def arguments(rays_trained: bool = False) -> list[Tensor | int | float]:
    """Two Gaussians in the one tile of an image of 3 x 2 pixels."""
    frames = torch.cat(
        [2 * torch.eye(3).flatten().repeat(2, 1), torch.tensor([[0.0, 0, -4], [0.5, 0, -6]])], 1
    )
    rays = torch.zeros(1, 2, 3, 7)
    rays[..., 2], rays[..., 6] = 1.0, 0.6
    reaches = torch.tensor([[[0.5, 3.5], [1.5, 4.5]]])
    lists = [
        torch.tensor(values, dtype=torch.int32) for values in ([0, 2], [0, 1], [0, 1], [0, 1, 2], [0, 1])
    ]
    leaves = [frames[None], torch.tensor([[3.0, 2.0]]), torch.rand(1, 2, 3)]
    return [*(t.requires_grad_() for t in leaves), reaches, rays.requires_grad_(rays_trained), *lists, 16,
            0.2, 0.5, 5.0, 0.1]  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_operators_pass_pytorchs_check() -> None:
    opcheck(OP.cast_rays.default, tuple(arguments(True)))
    fixed = [value.detach() if isinstance(value, Tensor) else value for value in arguments()]
    seen, passed = OP.cast_rays(*fixed)
    opcheck(OP.cast_rays_backward.default, (*fixed, seen, passed, seen, passed, True))


def test_a_pixel_without_a_ray_sees_nothing(backend: str) -> None:
    given = arguments()
    rays = given[4]
    assert isinstance(rays, Tensor)
    rays[0, 1, 2, :3] = 0.0
    seen, passed = OP.cast_rays(*given)
    assert not seen[0, 1, 2].any()
    assert passed[0, 1, 2] == 1
    assert bool((passed[0, 0] < 1).all())


@pytest.mark.parametrize(
    ("place", "name"), [(0, "frames"), (1, "densities"), (3, "reaches"), (5, "tile_offsets")]
)
def test_wrong_arguments_are_named(place: int, name: str) -> None:
    given = arguments()
    given[place] = torch.zeros(7)
    with pytest.raises(RuntimeError, match=f"'{name}'"):
        OP.cast_rays(*given)
