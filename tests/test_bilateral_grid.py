"""Bilateral grids against PyTorch's own trilinear interpolation, and their derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.bilateral_grid import LUMA, identity_grid, sliced, total_variation


def grid(seed: int = 0, width: int = 5, height: int = 4, levels: int = 3) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return identity_grid(width, height, levels) + 0.2 * torch.randn(
        12, levels, height, width, generator=random
    )


def image(height: int = 9, width: int = 14) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.rand(height, width, 3, generator=random), torch.rand(height, width, 1, generator=random)


def published(grid: Tensor, light: Tensor, alphas: Tensor) -> Tensor:
    """As gsplat's `slice` looks grids up: a trilinear `grid_sample`."""
    height, width = light.shape[:2]
    y, x = (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width
    down, across = torch.meshgrid(y, x, indexing="ij")
    luma = light.detach() @ light.new_tensor(LUMA)
    places = 2 * torch.stack([across.to(light), down.to(light), luma], dim=2) - 1
    looked_up = torch.nn.functional.grid_sample(
        grid[None], places[None, None], align_corners=True, padding_mode="border"
    )
    matrices = looked_up[0, :, 0].permute(1, 2, 0).unflatten(2, (3, 4))
    return (matrices[..., :3] @ light[..., None])[..., 0] + alphas * matrices[..., 3]


@pytest.mark.parametrize("shape", [(5, 4, 3), (16, 16, 8), (1, 1, 2), (2, 1, 1)])
def test_it_is_trilinear_interpolation(shape: tuple[int, int, int]) -> None:
    nodes, (light, alphas) = grid(0, *shape), image()
    assert torch.allclose(sliced(nodes, light, alphas), published(nodes, light, alphas), atol=1e-5)


@pytest.mark.parametrize("block", [1, 2, 3])
def test_the_identity_changes_nothing_in_blocks_of_any_size(block: int) -> None:
    light, alphas = image()
    assert torch.allclose(sliced(identity_grid(), light, alphas, block), light, atol=1e-6)


@pytest.mark.parametrize("block", [2, 4])
def test_blocks_have_the_change_at_their_middle_with_their_mean_brightness(block: int) -> None:
    """Of an image that is the same in each block, exact; 9 x 14 pixels are no multiple of them."""
    light, alphas = image(5, 7)
    big = [t.repeat_interleave(block, 0).repeat_interleave(block, 1) for t in (light, alphas)]
    expected = published(grid(), light, alphas)
    seen = sliced(grid(), *big, block)
    assert torch.allclose(seen[::block, ::block], expected, atol=1e-5)
    cut = sliced(grid(), big[0][:, :-1], big[1][:, :-1], block)
    assert torch.isfinite(cut).all()
    assert cut.shape == (5 * block, 7 * block - 1, 3)


@pytest.mark.parametrize("block", [1, 2])
def test_gradients_are_those_of_finite_differences(block: int) -> None:
    """Of all but the brightness, which is looked at as it was."""
    light, alphas = (t.double() for t in image(3, 4))
    nodes = grid(0, 2, 2, 2).double()
    leaves = [t.clone().requires_grad_() for t in (nodes, alphas)]
    assert torch.autograd.gradcheck(lambda n, a: sliced(n, light, a, block), leaves, fast_mode=True)
    own, other = (light.clone().requires_grad_() for _ in range(2))
    weights = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (sliced(nodes, own, alphas) * weights).sum().backward()
    (published(nodes, other, alphas) * weights).sum().backward()
    assert torch.allclose(own.grad, other.grad, atol=1e-9)


def test_the_total_variation_is_that_of_neighbours() -> None:
    assert float(total_variation(identity_grid())) == 0
    assert float(total_variation(identity_grid(1, 1, 1))) == 0
    ramp = torch.arange(4.0).reshape(1, 1, 1, 4).expand(12, 3, 5, 4)
    assert float(total_variation(ramp)) == 1
    assert float(total_variation(ramp + torch.arange(3.0).reshape(1, 3, 1, 1) * 2)) == pytest.approx(5)


def test_wrong_shapes_are_refused() -> None:
    light, alphas = image()
    for nodes, pixels in (
        (identity_grid()[None], light),
        (identity_grid()[:9], light),
        (grid(), light[..., :2]),
    ):
        with pytest.raises(ValueError, match="expected a grid"):
            sliced(nodes, pixels, alphas)
