"""gsplat_core/reference/compositors.py: what every compositor must be, and "over" step by step."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.reference import COMPOSITORS


@pytest.mark.parametrize("compositor", COMPOSITORS)
def test_a_splat_is_weighted_by_itself_and_by_those_in_front(compositor: str) -> None:
    alphas = 0.5 * torch.rand(6, 10, generator=torch.Generator().manual_seed(0)).double()
    weights = COMPOSITORS[compositor](alphas, 1e-3).weights
    assert torch.equal(weights[0], alphas[0])
    assert torch.equal(COMPOSITORS[compositor](alphas[:4], 1e-3).weights, weights[:4])
    assert not COMPOSITORS[compositor](0 * alphas, 1e-3).weights.any()


def test_over_lets_each_splat_hide_those_behind_it() -> None:
    alphas = torch.tensor([[0.9], [0.9], [0.8], [0.99], [0.5]]).double()
    weights = COMPOSITORS["over"](alphas, 1e-3).weights[:, 0].tolist()
    # The fourth would let through 2e-5, so the pixel is finished before it.
    assert weights == pytest.approx([0.9, 0.1 * 0.9, 0.01 * 0.8, 0.0, 0.0])
