from __future__ import annotations

import dataclasses
from contextlib import closing

import pytest
import torch

from gsplat_core.errors import DataError
from trainers.sources import load_photographs
from trainers.views import Feed, Target, ViewOrder


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


@pytest.fixture
def views(config):
    return load_photographs(config).train


def test_each_step_gets_the_target_of_its_view(views):
    cpu = torch.device("cpu")
    order = ViewOrder(len(views), seed=5)
    with closing(Feed(views, seed=5, device=cpu)) as feed:
        for step in [*range(1, 3 * len(views)), 4, 2]:
            target, expected = feed(step), Target.of(views[order(step)], cpu, order(step))
            for field in dataclasses.fields(Target):
                ours, wanted = getattr(target, field.name), getattr(expected, field.name)
                assert torch.equal(torch.as_tensor(ours), torch.as_tensor(wanted))


def test_on_the_cpu_each_view_is_prepared_once_and_shares_its_memory(views, monkeypatch):
    prepared = []
    original = Target.of.__func__

    def recorded(cls, view, device, number):
        prepared.append(view.name)
        return original(cls, view, device, number)

    monkeypatch.setattr(Target, "of", classmethod(recorded))
    with closing(Feed(views, seed=0, device=torch.device("cpu"))) as feed:
        targets = [feed(step) for step in range(1, 4 * len(views) + 1)]
    assert sorted(prepared) == sorted(view.name for view in views)
    assert {t.image.data_ptr() for t in targets} == {view.image().data_ptr() for view in views}


def test_a_view_that_cannot_be_read_fails_at_its_step(views, monkeypatch):
    order = ViewOrder(len(views), seed=0)
    broken = views[order(3)]

    def unreadable():
        raise DataError("photo.jpg", "is damaged")

    monkeypatch.setattr(broken, "image", unreadable)
    with closing(Feed(views, seed=0, device=torch.device("cpu"))) as feed:
        feed(1)
        feed(2)
        with pytest.raises(DataError, match=r"photo\.jpg"):
            feed(3)
