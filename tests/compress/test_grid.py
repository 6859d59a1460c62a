"""The grid codec: what it makes a scene pay for, and what it is sorted by."""

from __future__ import annotations

import math
from dataclasses import asdict

import pytest
import torch
from compress.scenes import scene

from gsplat_core.compress.grid import GridCodec, GridConfig, picture_neighbors
from gsplat_core.compress.plas import grid_shape
from gsplat_core.compress.rounded import Rounding


def test_coarser_by_a_factor() -> None:
    before, after = GridConfig(seed=3), GridConfig(seed=3).coarser(1.5)
    assert after.smoothness == 1.5 * before.smoothness
    assert after.seed == 3
    assert asdict(after.steps) == {name: 1.5 * step for name, step in asdict(before.steps).items()}


def test_the_penalty_in_numbers() -> None:
    """Huber's loss of each number and the blurred picture around it, a millionth for each step."""
    gaussians = scene(48)
    codec = GridCodec(GridConfig(smoothness=1e6))
    codec.refresh(gaussians.params)
    height, width = grid_shape(48)
    assert (height, width) == (8, 6)
    order = codec.state_dict()["order"][: height * width]
    expected = 0.0
    for numbers in Rounding.fit(gaussians.params, codec.config.steps).numbers(gaussians.params).values():
        picture = numbers[order].reshape(height, width, -1).double()
        goal = blurred_by_hand(picture)
        off = (picture - goal).abs()
        expected += float(torch.where(off < 1, off.square() / 2, off - 0.5).sum())
    assert codec.penalty(gaussians.params).item() == pytest.approx(expected, rel=1e-4)


def blurred_by_hand(picture: torch.Tensor) -> torch.Tensor:
    """By a Gaussian of 3 pixels, cut off after two to each side; round at left and right, mirrored at top
    and bottom."""
    height, width, _ = picture.shape
    weights = {d: math.exp(-d * d / (2 * 3**2)) for d in range(-2, 3)}
    mirrored = [*range(height), *range(height - 2, 0, -1)]
    blurred = torch.zeros_like(picture)
    for dy, weight_y in weights.items():
        for dx, weight_x in weights.items():
            rows = [mirrored[(y + dy) % len(mirrored)] for y in range(height)]
            columns = [(x + dx) % width for x in range(width)]
            blurred += weight_x * weight_y * picture[rows][:, columns]
    return blurred / sum(weights.values()) ** 2


def test_gaussians_are_sorted_anew_only_when_there_are_others() -> None:
    gaussians = scene(200)
    codec = GridCodec()
    codec.refresh(gaussians.params)
    order = codec.state_dict()["order"]
    assert order.sort().values.tolist() == list(range(200))
    codec.refresh({**gaussians.params, "means": gaussians.means.flip(0)})
    assert torch.equal(codec.state_dict()["order"], order)
    codec.refresh(gaussians.subset(slice(0, 150)).params)
    assert len(codec.state_dict()["order"]) == 150


@pytest.mark.parametrize("count", [1, 6, 20])
def test_neighbours_are_left_above_and_above_left(count: int) -> None:
    _, width = grid_shape(count)
    for i, neighbors in enumerate(picture_neighbors(count).tolist()):
        row, column = divmod(i, width)
        left, above = i - 1 if column else -1, i - width if row else -1
        assert neighbors[0] in (left, above)
        assert all(-1 <= j < i for j in neighbors)
        if column and row:
            assert neighbors == [left, above, above - 1]
