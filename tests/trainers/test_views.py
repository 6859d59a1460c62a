from __future__ import annotations

import pytest

from trainers.views import ViewOrder


@pytest.mark.parametrize("count", [1, 2, 7, 43])
def test_every_view_comes_once_before_any_comes_again(count):
    order = ViewOrder(count, seed=3)
    for epoch in range(5):
        steps = range(epoch * count + 1, (epoch + 1) * count + 1)
        assert sorted(order(step) for step in steps) == list(range(count))


def test_epochs_and_seeds_are_shuffled_differently():
    def epoch(seed, number):
        order = ViewOrder(20, seed)
        return tuple(order(number * 20 + i) for i in range(1, 21))

    orders = {epoch(seed, number) for seed in range(4) for number in range(4)}
    assert len(orders) == 16


def test_the_order_depends_on_nothing_but_seed_and_step():
    forward = ViewOrder(9, seed=1)
    expected = {step: forward(step) for step in range(1, 60)}
    jumping = ViewOrder(9, seed=1)
    assert all(jumping(step) == expected[step] for step in (58, 3, 30, 4, 59, 1))
