"""Sorting into grids: always a permutation, smooth, and the same for any number of threads."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.compress.plas import grid_shape, hilbert_cells, hilbert_codes, roughness, sorted_grid
from gsplat_core.ops.grid_sort import grid_sort


def colours(count: int) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) * 255


def test_the_published_schedule_reaches_the_published_smoothness() -> None:
    picture = colours(64 * 64).reshape(64, 64, 3)
    assert roughness(picture) > 3000
    smooth, order = grid_sort(picture, 1, 31.0)
    assert roughness(smooth) < 70
    assert torch.equal(order.flatten().sort().values, torch.arange(64 * 64, dtype=torch.int32))
    assert torch.equal(smooth.reshape(-1, 3), picture.reshape(-1, 3)[order.flatten().long()])


def test_a_curve_to_start_from_does_as_well_with_less() -> None:
    vectors = colours(64 * 64)
    assert roughness(vectors[sorted_grid(vectors)].reshape(64, 64, 3)) < 90


@pytest.mark.parametrize("count", [0, 1, 3, 4, 17, 1000])
def test_any_count_gives_a_permutation(count: int) -> None:
    order = sorted_grid(colours(count))
    assert order.sort().values.tolist() == list(range(count))
    height, width = grid_shape(max(count, 1))
    assert 0 <= max(count, 1) - height * width < width


def test_same_bytes_for_any_thread_count_and_other_ones_for_another_seed() -> None:
    picture = colours(400 * 400).reshape(400, 400, 3)
    before = torch.get_num_threads()
    try:
        orders = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            orders.append(grid_sort(picture, 5, 1.5, 0.5, 0.3)[1])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*orders)
    assert not torch.equal(orders[0], grid_sort(picture, 6, 1.5, 0.5, 0.3)[1])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_curve_visits_every_cell_in_unit_steps(dimensions: int) -> None:
    cells = torch.cartesian_prod(*[torch.arange(8)] * dimensions)
    codes = hilbert_codes(cells, 3)
    walk = cells[codes.sort().indices]
    assert len(codes.unique()) == len(cells)
    assert (walk.diff(dim=0).abs().sum(dim=1) == 1).all()


def test_the_curve_through_a_rectangle_visits_every_cell_once() -> None:
    assert hilbert_cells(5, 13).sort().values.tolist() == list(range(65))


def test_operator_checks() -> None:
    picture = colours(64).reshape(8, 8, 3)
    torch.library.opcheck(torch.ops.gsplat_core.grid_sort.default, (picture, 0, 2.0))
    broken = picture.clone()
    broken[1, 0, 0] = torch.inf
    for message, call in [
        ("'picture' has NaN .* cell 8", lambda: grid_sort(broken, 0, 2.0)),
        ("'picture' must not be empty", lambda: grid_sort(picture[:0], 0, 2.0)),
        ("'shrink'", lambda: grid_sort(picture, 0, 2.0, shrink=1.0)),
        ("'improvement'", lambda: grid_sort(picture, 0, 2.0, improvement=0.0)),
        ("'first_radius'", lambda: grid_sort(picture, 0, -1.0)),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call()
