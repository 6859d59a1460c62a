"""gsplat_core/reference/unprojection.py: it finds what the lenses' own inverses find."""

from __future__ import annotations

import pytest
import torch
from splats import adapted, random_scene
from torch import Tensor

from gsplat_core.reference import CAMERAS, Intrinsics
from gsplat_core.reference.unprojection import directions
from gsplat_core.render.rays import pixel_rays

WITH_A_CENTRE = [name for name in CAMERAS if name != "ortho"]
WIDTH, HEIGHT = 16, 12


def numbers_of(camera: str) -> tuple[Tensor, Tensor]:
    """K [3, 3] and lens [P]."""
    t = adapted(random_scene(1, width=WIDTH, height=HEIGHT), camera).tensors
    wide = torch.tensor([[0.15, 1, 1], [1, 0.15, 1], [1, 1, 1]])
    return (t["Ks"][0] * wide).double(), t["lens"][0].double() if "lens" in t else torch.zeros(0).double()


def found(camera: str, K: Tensor, lens: Tensor) -> Tensor:
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    pixels = torch.stack([x, y], dim=-1).reshape(-1, 2).double()
    parts = [K[i, j].reshape(1) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]
    return directions(CAMERAS[camera], pixels, Intrinsics(*parts, lens[None], WIDTH, HEIGHT))


@pytest.mark.parametrize("camera", WITH_A_CENTRE)
def test_they_are_those_of_the_lenses_own_inverses(camera: str) -> None:
    K, lens = numbers_of(camera)
    given = K.requires_grad_(), lens.requires_grad_()
    rays = pixel_rays(
        camera, torch.eye(4).double()[None, None], K[None, None], lens[None, None] if len(lens) else None,
        WIDTH, HEIGHT,
    )  # fmt: skip
    expected = torch.nn.functional.normalize(rays[0, 0].reshape(-1, 3), dim=-1)
    own = found(camera, *given)
    assert (expected != 0).any(-1).double().mean() > 0.3
    assert torch.equal((own != 0).any(-1), (expected != 0).any(-1))
    torch.testing.assert_close(own, expected, atol=1e-7, rtol=0)
    weights = torch.randn(own.shape, generator=torch.Generator().manual_seed(0)).double()
    gradients = [torch.autograd.grad((weights * r).sum(), given, allow_unused=True) for r in (own, expected)]
    for mine, theirs in zip(*gradients, strict=True):
        if theirs is not None:
            torch.testing.assert_close(mine, theirs, atol=1e-6 * float(theirs.abs().max()), rtol=1e-4)
