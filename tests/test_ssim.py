"""gsplat_core/ssim.py: maps of SSIM against finite differences and the fused kernel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.ops.l1_ssim import l1_ssim
from gsplat_core.ssim import WINDOW, blurred, ssim_statistics


def images() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    truth = torch.rand(20, 14, 3, generator=g)
    return (truth + 0.2 * torch.randn(truth.shape, generator=g)).clamp(0, 1), truth


def test_the_mean_of_the_map_is_the_ssim_of_the_loss() -> None:
    image, truth = images()
    _, _, mean, _ = l1_ssim(image[None], truth[None], 1.0, False, False)
    assert ssim_statistics(image, truth).ssim.mean() == pytest.approx(float(mean), abs=1e-6)


@pytest.mark.parametrize("squared", [False, True])
def test_a_point_is_blurred_to_the_window(squared: bool) -> None:
    point = torch.zeros(21, 15, 3, dtype=torch.float64)
    point[10, 7] = torch.tensor([1.0, -2.0, 3.0])
    window = torch.tensor(WINDOW).double() ** (2 if squared else 1)
    expected = torch.zeros_like(point)
    expected[5:16, 2:13] = torch.outer(window, window)[..., None] * point[10, 7]
    torch.testing.assert_close(blurred(point, squared), expected)


def test_derivative_of_ssim_by_the_central_pixel() -> None:
    image, truth = (tensor.double() for tensor in images())
    by_centre = ssim_statistics(image, truth).by_centre(image, truth)
    for y, x, c in [(0, 0, 0), (10, 8, 1), (19, 3, 2)]:
        h, values = 1e-5, []
        for sign in (1, -1):
            moved = image.clone()
            moved[y, x, c] += sign * h
            values.append(ssim_statistics(moved, truth).ssim[y, x, c])
        assert by_centre[y, x, c] == pytest.approx(float(values[0] - values[1]) / (2 * h), rel=1e-4)
