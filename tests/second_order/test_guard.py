"""What did harm is undone."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.second_order.guard import GROWTH, SMALLEST, Guard


def test_the_best_state_is_kept_and_comes_back() -> None:
    params = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([[3.0]])}
    guard = Guard.of(1.0, params)
    for loss, stays in (
        (0.8, True),
        (0.9, False),
        (float("nan"), False),
        (0.8, True),
        (0.5, True),
        (0.6, False),
    ):
        before = {name: value.clone() for name, value in guard.best.items()}
        for value in params.values():
            value.add_(1)
        moved = {name: value.clone() for name, value in params.items()}
        assert guard.check(loss, params) is stays
        for name, value in params.items():
            assert torch.equal(value, moved[name] if stays else before[name])
            assert torch.equal(guard.best[name], value)
            assert guard.best[name] is not value
    assert guard.lowest == 0.5
    assert guard.undone == 3


def test_a_little_more_is_noise_until_the_last_check() -> None:
    params = {"a": torch.zeros(1)}
    guard = Guard.of(1.0, params)
    for value, loss, last in (
        (1.0, 1.09, False),
        (2.0, 1.11, False),
        (3.0, 1.01, True),
    ):
        params["a"].fill_(value)
        stays = guard.check(loss, params, last)
        assert stays == (value == 1.0)
        assert params["a"].item() == (1.0 if stays else 0.0)
    assert (guard.lowest, guard.factor, guard.undone) == (1.0, 0.25, 2)


def test_steps_become_half_as_long_and_longer_again() -> None:
    params = {"a": torch.zeros(1)}
    guard = Guard.of(1.0, params)
    factors = []
    for loss in (2.0, 2.0, 0.9, 0.8, 0.7, 0.6, 0.5):
        guard.check(loss, params)
        factors.append(guard.factor)
    expected = [0.5, 0.25, *(0.25 * GROWTH**n for n in range(1, 5)), 1.0]
    assert factors == pytest.approx(expected)
    for _ in range(30):
        guard.check(2.0, params)
    assert guard.factor == SMALLEST


def test_it_continues_from_its_state() -> None:
    params = {"a": torch.zeros(3)}
    guard = Guard.of(1.0, params)
    guard.check(2.0, params)
    other = Guard.from_state_dict(guard.state_dict(), torch.device("cpu"))
    assert (other.lowest, other.factor, other.undone) == (1.0, 0.5, 1)
    assert torch.equal(other.best["a"], guard.best["a"])
    assert other.best["a"] is not guard.best["a"]
