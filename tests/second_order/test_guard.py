"""What did harm is undone."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.second_order.guard import GROWTH, SMALLEST, TOLERANCE, Guard

Params = dict[str, torch.Tensor]


def window(guard: Guard, params: Params, ratio: float) -> bool:
    """Moves the parameters, and ends a window in which losses were so many times those at the beginning."""
    for value in params.values():
        value.add_(1)
    for photograph, loss in enumerate(guard.reference):
        guard.see(photograph, ratio * loss)
    return guard.check(params)


@pytest.fixture
def params() -> Params:
    return {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([[3.0]])}


def test_the_best_state_is_kept_and_comes_back(params) -> None:
    guard = Guard.of([0.1, 0.3], params)
    for ratio, stays in ((0.8, True), (1.2, False), (float("nan"), False), (0.7, True), (0.9, False)):
        before = {name: value.clone() for name, value in guard.best.items()}
        moved = {name: value + 1 for name, value in params.items()}
        assert window(guard, params, ratio) is stays
        for name, value in params.items():
            assert torch.equal(value, moved[name] if stays else before[name])
            assert torch.equal(guard.best[name], value)
            assert guard.best[name] is not value
    assert guard.lowest == pytest.approx(0.7)
    assert guard.undone == 3


def test_a_little_more_is_noise(params) -> None:
    guard = Guard.of([1.0], params)
    assert window(guard, params, TOLERANCE - 0.01)
    assert guard.lowest == 1.0
    assert torch.equal(guard.best["a"] + 1, params["a"])
    assert not window(guard, params, TOLERANCE + 0.01)
    assert torch.equal(guard.best["a"], params["a"])


def test_a_photograph_is_compared_with_itself(params) -> None:
    """So that the order in which bright and dark ones come makes no difference."""
    guard = Guard.of([0.1, 10.0], params)
    for photograph in (1, 0):
        guard.see(photograph, guard.reference[photograph])
        assert guard.check(params)
    assert guard.undone == 0
    guard.see(0, 0.2)
    assert not guard.check(params)


def test_until_something_was_better_the_beginning_is_the_best(params) -> None:
    start = {name: value.clone() for name, value in params.items()}
    guard = Guard.of([1.0, 2.0], params)
    for ratio in (1.05, 1.2, 1.0):
        window(guard, params, ratio)
        assert not guard.succeeded
    guard.restore(params)
    for name, value in params.items():
        assert torch.equal(value, start[name])
    window(guard, params, 0.99)
    assert guard.succeeded


def test_steps_become_half_as_long_and_longer_again(params) -> None:
    guard = Guard.of([1.0], params)
    factors = []
    for ratio in (2.0, 2.0, 0.9, 0.8, 0.7, 0.6, 0.5):
        window(guard, params, ratio)
        factors.append(guard.factor)
    expected = [0.5, 0.25, *(0.25 * GROWTH**n for n in range(1, 5)), 1.0]
    assert factors == pytest.approx(expected)
    for _ in range(30):
        window(guard, params, 2.0)
    assert guard.factor == SMALLEST


def test_a_window_without_steps_tells_nothing(params) -> None:
    guard = Guard.of([1.0], params)
    assert guard.check(params)
    assert (guard.lowest, guard.undone) == (1.0, 0)


def test_it_continues_from_its_state(params) -> None:
    guard = Guard.of([1.0, 3.0], params)
    window(guard, params, 2.0)
    guard.see(1, 2.5)
    other = Guard.from_state_dict(guard.state_dict(), torch.device("cpu"))
    for name, value in vars(guard).items():
        if name != "best":
            assert getattr(other, name) == value
    assert torch.equal(other.best["a"], guard.best["a"])
    assert other.best["a"] is not guard.best["a"]
