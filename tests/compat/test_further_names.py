"""gsplat_core/compat: small packages that other trainers import."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.compat.fused_ssim import fused_ssim
from gsplat_core.compat.inria import SparseGaussianAdam
from gsplat_core.compat.simple_knn import distCUDA2
from gsplat_core.metrics import ssim


def test_distances_are_means_of_three_squares() -> None:
    points = torch.rand(50, 3)
    squared = torch.cdist(points, points).square().sort(dim=-1).values[:, 1:4].mean(-1)
    torch.testing.assert_close(distCUDA2(points), squared, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="N > 3"):
        distCUDA2(points[:3])


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_ssim_is_ours_with_a_gradient(padding) -> None:
    first, second = torch.rand(2, 3, 20, 24, requires_grad=True), torch.rand(2, 3, 20, 24)
    value = fused_ssim(first, second, padding)
    expected = ssim(first.detach().movedim(1, -1), second.movedim(1, -1), padding)
    assert value.item() == pytest.approx(expected, abs=1e-5)
    value.backward()
    assert first.grad is not None
    assert first.grad.abs().max() > 0
    assert not fused_ssim(first, second, padding, train=False).requires_grad


def test_sparse_adam_moves_what_is_seen() -> None:
    parameter = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = SparseGaussianAdam([{"params": [parameter], "lr": 0.1, "name": "xyz"}], lr=0.0, eps=1e-15)
    parameter.grad = torch.ones(3, 2)
    optimizer.step(torch.tensor([True, False, True]), 3)
    assert (parameter.detach() != 1).all(-1).tolist() == [True, False, True]
