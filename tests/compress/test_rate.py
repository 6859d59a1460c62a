"""The bits of rounded numbers: they are the masses of Gaussians, and so are their gradients."""

from __future__ import annotations

import math

import torch

from gsplat_core.compress.rate import gaussian_bits


def plainly(away: torch.Tensor, deviation: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """By the difference of two values of the distribution, on the side where float64 has digits for them."""
    root = deviation * math.sqrt(2)
    near, far = (away.abs() - step / 2) / root, (away.abs() + step / 2) / root
    return -((torch.erfc(near) - torch.erfc(far)) / 2).log2()


def cases() -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    away = 3 * torch.randn(200, generator=random)
    deviation = torch.rand(200, generator=random) * 2 + 0.6
    return [away, deviation, torch.rand(200, generator=random) * 2 + 0.05]


def test_bits_and_gradients_are_those_of_the_masses_in_float64() -> None:
    single = [value.requires_grad_() for value in cases()]
    double = [value.double().requires_grad_() for value in cases()]
    bits, exact = gaussian_bits(*single), plainly(*double)
    torch.testing.assert_close(bits, exact.float(), rtol=1e-4, atol=1e-5)
    bits.sum().backward()
    exact.sum().backward()
    for mine, plain in zip(single, double, strict=True):
        torch.testing.assert_close(mine.grad, plain.grad.float(), rtol=1e-3, atol=2e-4)


def test_the_masses_of_all_multiples_of_a_step_sum_to_one() -> None:
    wholes = torch.arange(-400, 401, dtype=torch.float64)
    bits = gaussian_bits(0.1 * wholes - 0.37, torch.tensor(2.0).double(), torch.tensor(0.1).double())
    assert math.isclose(float((-bits).exp2().sum()), 1.0, rel_tol=1e-6)


def test_what_is_far_away_costs_much_and_has_a_way_back() -> None:
    away = torch.tensor([1e4, -1e4, 0.0], requires_grad=True)
    bits = gaussian_bits(away, torch.tensor([0.01, 0.01, 1e-3]), torch.tensor(1.0))
    assert bool(bits.isfinite().all())
    assert float(bits[:2].detach().min()) > 1e6
    assert float(bits[2].detach()) == 0
    bits.sum().backward()
    assert away.grad[0] > 0 > away.grad[1]
