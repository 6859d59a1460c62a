"""Grids over knots: everything about where one looks is in whole numbers, and the middle has the room."""

from __future__ import annotations

import torch

from gsplat_core.compress.hash_grid import (
    VALUE_BITS,
    HashGrid,
    Middle,
    binary,
    interpolated,
    interpolated_exactly,
)

GRID = HashGrid((4, 16, 40), 8, 3)


def knots(count: int = 300) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return (100 * torch.randn(count, 3, generator=random)).round().long() + 7


def test_corners_are_rows_of_their_level_and_weights_are_shares() -> None:
    corners = GRID.corners(knots(), Middle.of(knots()))
    assert corners.rows.shape == (300, 3, 8)
    assert bool((corners.weights.sum(dim=2) == 1 << 24).all())
    assert GRID.rows == 5**3 + 2 * 2**8
    for level, (first, last) in enumerate([(0, 125), (125, 381), (381, 637)]):
        assert first <= int(corners.rows[:, level].min()) <= int(corners.rows[:, level].max()) < last


def test_a_coarse_level_interpolates_what_is_linear_in_the_contracted_place() -> None:
    grid = HashGrid((6,), 12, 1)
    corners = grid.corners(knots(), Middle.of(knots()))
    side = torch.arange(7.0)
    table = (side[:, None, None] + 2 * side[None, :, None] - side[None, None, :]).reshape(-1, 1)
    place = corners.places.double() / 2**17 * 6
    expected = place @ torch.tensor([1.0, 2.0, -1.0]).double()
    torch.testing.assert_close(interpolated(table, corners)[:, 0].double(), expected, rtol=0, atol=0.02)


def test_half_of_the_knots_get_the_middle_half_of_the_room_and_the_farthest_stay_inside() -> None:
    far = torch.cat([knots(), torch.tensor([[2**21, -(2**21), 0]])])
    places = GRID.corners(far, Middle.of(far)).places
    inner = ((places > 2**15) & (places < 3 * 2**15)).double().mean()
    assert 0.4 < float(inner) < 0.6
    assert 0 <= int(places.min()) < int(places.max()) <= 2**17
    order = far[:, 0].argsort(stable=True)
    assert bool((places[order, 0].diff() >= 0).all())


def test_whole_numbers_and_floating_ones_agree() -> None:
    random = torch.Generator().manual_seed(1)
    corners = GRID.corners(knots(), Middle.of(knots()))
    signs = torch.randint(2, (GRID.rows, GRID.width), generator=random) * 2 - 1
    exact = interpolated_exactly(signs, corners).double() / (1 << VALUE_BITS)
    torch.testing.assert_close(interpolated(signs.double(), corners), exact, rtol=0, atol=2.0**-VALUE_BITS)


def test_signs_get_the_gradients_of_their_numbers_within_one() -> None:
    table = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True)
    signs = binary(table)
    assert signs.tolist() == [-1, -1, 1, 1, 1]
    (signs * torch.arange(1.0, 6.0)).sum().backward()
    assert table.grad.tolist() == [0, 2, 3, 4, 0]


def test_no_knots() -> None:
    none = knots()[:0]
    assert Middle.of(none) == Middle((0, 0, 0), 1)
    assert GRID.corners(none, Middle.of(none)).rows.shape == (0, 3, 8)
