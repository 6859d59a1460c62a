"""Sorting into grids: always a permutation, smooth, and the same for any number of threads."""

from __future__ import annotations

import pytest
import torch
from backends import opcheck
from cuda_on_cpu.operators import emulated

from gsplat_core.compress.plas import grid_shape, hilbert_cells, hilbert_codes, roughness, sorted_grid
from gsplat_core.ops.grid_sort import grid_sort


def colours(count: int) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) * 255


def assert_permuted(picture: torch.Tensor, smooth: torch.Tensor, order: torch.Tensor) -> None:
    """Every cell of `smooth` is the cell of `picture` that `order` names, and each is there once."""
    cells, channels = order.numel(), picture.shape[2]
    assert torch.equal(order.flatten().sort().values, torch.arange(cells, dtype=torch.int32))
    assert torch.equal(smooth.reshape(-1, channels), picture.reshape(-1, channels)[order.flatten().long()])


def test_the_published_schedule_reaches_the_published_smoothness(backend: str) -> None:
    # In the emulation a smaller picture, which has more of a border and stays rougher, on the CPU too.
    side, reached = (16, 500) if backend == "cuda-on-cpu" else (64, 70)
    picture = colours(side * side).reshape(side, side, 3)
    assert roughness(picture) > 3000
    smooth, order = grid_sort(picture, 1, side / 2 - 1)
    assert roughness(smooth) < reached
    assert_permuted(picture, smooth, order)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (2, 2, 1), (3, 5, 4), (7, 40, 35), (17, 18, 14)])
def test_any_shape_gives_a_permutation_that_is_no_rougher(backend: str, shape: tuple[int, ...]) -> None:
    picture = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    smooth, order = grid_sort(picture, 2, max(shape[:2]) / 2, shrink=0.5, improvement=0.1)
    assert_permuted(picture, smooth, order)
    if min(shape[:2]) > 2:
        assert roughness(smooth) < roughness(picture)


@pytest.mark.parametrize("radius", [1.0, 3.0, 8.0, 11.0])
def test_backends_agree_at_one_radius(radius: float) -> None:
    """Over many, differences of rounding decide sooner or later."""
    g = torch.Generator().manual_seed(3)
    picture = torch.rand(20, 31, 3, generator=g)
    expected = grid_sort(picture, 4, radius, shrink=0.01, improvement=0.1)
    with emulated():
        actual = grid_sort(picture, 4, radius, shrink=0.01, improvement=0.1)
    assert torch.equal(actual[1], expected[1])
    assert torch.equal(actual[0], expected[0])


def test_a_sorted_grid_is_the_same_whenever_it_is_made(backend: str) -> None:
    picture = colours(20 * 30).reshape(20, 30, 3)
    first, again, other = (grid_sort(picture, seed, 4.0, 0.5, 0.01)[1] for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


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


@pytest.mark.usefixtures("backend")
def test_operator_checks() -> None:
    picture = colours(64).reshape(8, 8, 3)
    opcheck(torch.ops.gsplat_core.grid_sort.default, (picture, 0, 2.0))
    broken = picture.clone()
    broken[1, 0, 0] = torch.inf
    for message, call in [
        (
            "'picture' has NaN or infinite numbers in 1 of 64 cells, the first is cell 8",
            lambda: grid_sort(broken, 0, 2.0),
        ),
        ("'picture' must not be empty", lambda: grid_sort(picture[:0], 0, 2.0)),
        ("'shrink'", lambda: grid_sort(picture, 0, 2.0, shrink=1.0)),
        ("'improvement'", lambda: grid_sort(picture, 0, 2.0, improvement=0.0)),
        ("'first_radius'", lambda: grid_sort(picture, 0, -1.0)),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call()
