"""What the scalar codec makes a scene pay for: distances from what its coder will predict."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch
from compress.scenes import scene

from gsplat_core.compress.rounded import Rounding, Steps
from gsplat_core.compress.scalar import ScalarCodec, ScalarConfig
from gsplat_core.morton import morton_codes
from gsplat_core.ops.context_coder import earlier_neighbors


def test_bits_are_those_of_a_laplace_distribution_around_the_neighbours() -> None:
    gaussians = scene(300)
    config = ScalarConfig(Steps(dc=0.5), rate=3e-2)
    codec = ScalarCodec(config)
    codec.refresh(gaussians.params)
    rounding = Rounding.fit(gaussians.params, config.steps)
    cells = rounding.lattice.cells(gaussians.means)
    order = morton_codes(cells).sort(stable=True).indices
    neighbors = earlier_neighbors(cells[order].int()).tolist()
    moved = {name: value + 0.03 for name, value in gaussians.params.items()}
    bits = 0.0
    for name, numbers in rounding.numbers(gaussians.params).items():
        coded = numbers.round()[order].double()
        predicted = torch.empty_like(coded)
        for i, (a, b, c) in enumerate(neighbors):
            # A neighbour that is missing counts as the number itself; the first counts twice.
            first, second, third = (coded[j] if j >= 0 else coded[i] for j in (a, b, c))
            predicted[i] = (2 * first + second + third) / 4
        middle = coded.median(dim=0).values
        for column in range(coded.shape[1]):
            near, from_near = predicted[:, column], (coded - predicted)[:, column].abs().mean()
            from_middle = (coded[:, column] - middle[column]).abs().mean()
            if from_middle <= from_near:
                near = middle[column].expand(len(coded))
            spread = max(min(from_near, from_middle), 0.15)
            now = rounding.numbers(moved)[name][order, column].double()
            bits += float((now - near).abs().sum() / spread)
    expected = bits / math.log(2) * 3e-2 / 1e6
    assert codec.penalty(moved).item() == pytest.approx(expected, rel=1e-4)


def test_coarser_by_a_factor() -> None:
    before, after = ScalarConfig(), ScalarConfig().coarser(1.5)
    assert after.rate == 1.5 * before.rate
    assert asdict(after.steps) == {name: 1.5 * step for name, step in asdict(before.steps).items()}
    for wrong in (1e-8, 65.0):
        with pytest.raises(ValueError, match="sh = "):
            Steps(sh=wrong)
    assert Steps(sh=64.0, dc=1e-7).sh == 64.0


def test_nothing_is_remembered_before_the_first_scene() -> None:
    codec = ScalarCodec()
    assert codec.state_dict() == {}
    codec.load_state_dict({})
    with pytest.raises(AssertionError, match="refresh"):
        codec.quantized(scene(3).params)
