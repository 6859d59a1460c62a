"""The order that keeps neighbours in space near in memory."""

from __future__ import annotations

import torch

from gsplat_core.morton import morton_cells, morton_codes, morton_order


def test_steps_through_a_cloud_become_short() -> None:
    means = torch.rand(4096, 3, generator=torch.Generator().manual_seed(0))
    order = morton_order(means)
    assert torch.equal(order.sort().values, torch.arange(4096))

    def mean_step(points: torch.Tensor) -> float:
        return float(points.diff(dim=0).norm(dim=1).mean())

    # Points of the unit cube are 0.66 apart on average; neighbours in a cloud of 4096 about 1 / 16.
    assert mean_step(means[order]) < 2 / 16 < mean_step(means) / 4


def test_far_outliers_and_centres_that_are_not_finite_change_nothing_for_the_others() -> None:
    means = torch.rand(100, 3, generator=torch.Generator().manual_seed(0))
    strays = torch.tensor(
        [[1e3, 0.0, 0.0], [float("nan"), 0.5, 0.5], [-float("inf"), 0.0, 0.0], [3e38, -3e38, 0]]
    )
    order = morton_order(torch.cat([means, strays[:3]]))
    assert torch.equal(order.sort().values, torch.arange(103))
    steps = torch.cat([means, strays[:3]])[order[order < 100]].diff(dim=0).norm(dim=1)
    assert steps.mean() < 0.4
    assert torch.equal(morton_order(torch.cat([means, strays])).sort().values, torch.arange(104))


def test_equals_keep_their_order() -> None:
    assert torch.equal(morton_order(torch.zeros(5, 3)), torch.arange(5))
    assert torch.equal(morton_order(torch.zeros(0, 3)), torch.arange(0))


def test_morton_codes_interleave_and_come_apart() -> None:
    cells = torch.randint(2**21, (1000, 3), generator=torch.Generator().manual_seed(0))
    assert torch.equal(morton_cells(morton_codes(cells)), cells)
    assert morton_codes(torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 0, 0]])).tolist() == [1, 2, 4, 9]
