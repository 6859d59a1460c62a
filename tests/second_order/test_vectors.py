"""Vectors over all parameters."""

from __future__ import annotations

import math

import pytest
import torch

from gsplat_core.second_order.vectors import add_, dot, norm, scaled, zeros_like


def numbers(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


def test_inner_products_keep_what_float32_would_lose() -> None:
    """Large terms cancel, a small one is left."""
    a = {"means": torch.tensor([2.0**13, 1.0, -(2.0**13)]), "opacities": torch.tensor([0.5])}
    b = {"means": torch.tensor([2.0**13, 1.0, 2.0**13]), "opacities": torch.tensor([0.25])}
    assert dot(a, b) == 1.125
    x, y, z = a["means"] * b["means"]
    assert float((x + y) + z) != 1.0


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 1_200_000])
def test_inner_products_of_any_length(count) -> None:
    a, b = numbers(count, 0), numbers(count, 1)
    expected = math.fsum((a.double() * b.double()).tolist())
    assert dot({"x": a}, {"x": b}) == pytest.approx(expected, rel=1e-12, abs=1e-9)
    assert norm({"x": a}) == pytest.approx(float(a.double().norm()), rel=1e-12)


def test_sums_and_multiples() -> None:
    a = {"means": torch.tensor([[1.0, 2.0]]), "opacities": torch.tensor([3.0])}
    total = zeros_like(a)
    add_(total, a)
    add_(total, scaled(2.0, a), factor=0.5)
    for name, value in a.items():
        assert torch.equal(total[name], 2 * value)
