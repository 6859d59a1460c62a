"""Blurring is convolution with a Gaussian."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.blur import gaussian_blur


@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_a_point_becomes_a_gaussian(sigma: float) -> None:
    image = torch.zeros(31, 33, 2, dtype=torch.float64)
    image[15, 16] = torch.tensor([1.0, 3.0]).double()
    spread = gaussian_blur(image, sigma)
    assert torch.allclose(spread.sum(dim=(0, 1)), torch.tensor([1.0, 3.0]).double())
    y, x = torch.meshgrid(torch.arange(31.0) - 15, torch.arange(33.0) - 16, indexing="ij")
    for offsets in (x, y):
        assert float((spread[..., 0] * offsets.square()).sum()) == pytest.approx(sigma**2, rel=0.05)


def test_what_is_even_stays_and_nothing_is_no_blur() -> None:
    even = torch.full((2, 9, 7, 3), 0.3)
    assert torch.allclose(gaussian_blur(even, 3.0), even)
    assert gaussian_blur(even, 0.0) is even
