"""Where a rendering is wrong: block by block, and which blocks belong together."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.densify.error_regions import block_size, error_map, error_regions


def wrong_blocks(*blocks: tuple[int, int], rows: int = 6, columns: int = 8, side: int = 4) -> torch.Tensor:
    errors = torch.zeros(rows * side, columns * side)
    for row, column in blocks:
        errors[row * side : (row + 1) * side, column * side : (column + 1) * side] = 1
    return errors


def boxes(errors: torch.Tensor, side: int = 4) -> list[list[float]]:
    return sorted(error_regions(errors, 0.5, 0.85, side).tolist())


def test_blocks_that_touch_at_a_corner_belong_together() -> None:
    assert boxes(wrong_blocks((1, 1), (2, 2), (3, 1))) == [[4, 4, 12, 16]]


def test_blocks_apart_are_regions_of_their_own() -> None:
    assert boxes(wrong_blocks((0, 0), (0, 2), (5, 7))) == [[0, 0, 4, 4], [8, 0, 12, 4], [28, 20, 32, 24]]


def test_long_chains_are_one_region() -> None:
    chain = [(0, c) for c in range(8)] + [
        (1, 7),
        (2, 7),
        (3, 6),
        (4, 5),
        (5, 0),
        (5, 1),
        (5, 2),
        (5, 3),
        (5, 4),
    ]
    assert boxes(wrong_blocks(*chain)) == [[0, 0, 32, 24]]


def test_boxes_end_with_the_image() -> None:
    errors = torch.zeros(10, 13)
    errors[8:, 12:] = 1  # of a last block that is padded
    assert error_regions(errors, 0.5, 0.1, 4).tolist() == [[12, 8, 13, 10]]


@pytest.mark.parametrize(
    ("size", "side"),
    [((1600, 1200), 16), ((1200, 1600), 16), ((800, 600), 8), ((90, 60), 4), ((4000, 10), 16)],
)
def test_blocks_are_in_proportion_to_the_image(size: tuple[int, int], side: int) -> None:
    assert block_size(*size) == side


def test_the_blocks_of_an_image_are_of_its_size() -> None:
    errors = torch.zeros(600, 800)
    errors[8:16, 16:24] = 1
    assert error_regions(errors, 0.5, 0.85).tolist() == [[16, 8, 24, 16]]


def test_the_difference_is_that_of_all_three_channels() -> None:
    photograph = torch.full((4, 4, 3), 0.5)
    image = photograph.clone()
    image[0, 0] += torch.tensor([0.1, -0.1, 0.0])  # the mean stays
    expected = torch.zeros(4, 4)
    expected[0, 0] = 0.2 / 0.51
    torch.testing.assert_close(error_map(image, photograph), expected)
