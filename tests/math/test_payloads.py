"""What is summed up per splat besides the gradients of its shape, against the sums' definitions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

SHAPE = np.array([0.5, -0.3, 0.8, -0.4])  # scaled root, log2 of the opacity
UNIT = np.log2(np.e) / 2  # scaled roots stand twice in the gradient of the mean


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Weight, color 3, its gradient 3, sloped, u, v, blended, probe of some pixels."""
    rng = np.random.default_rng(0)
    some = rng.normal(size=(5, 12))
    some[:, 0] = rng.uniform(0.1, 1, 5)
    some[:, 10] = [1, 1, 0, 1, 1]
    return some


@pytest.fixture(scope="module")
def expected(pixels: np.ndarray) -> np.ndarray:
    """Gradient of the colours, absolute gradient of the mean, statistics."""
    weight, sloped, u, v, blended, probe = pixels[:, [0, 7, 8, 9, 10, 11]].T
    by_mean = np.stack([sloped * u * SHAPE[0], sloped * (u * SHAPE[1] + v * SHAPE[2])], axis=1)
    return np.concatenate(
        [
            weight @ pixels[:, 4:7],
            np.abs(by_mean).sum(axis=0),
            [weight @ probe, weight.sum(), blended.sum()],
        ]
    )


def sums(function: Callable, pixels: np.ndarray, wanted: tuple[int, int] = (1, 1)) -> np.ndarray:
    return np.array(function("payload_sums", [*wanted, *SHAPE, len(pixels), *pixels.ravel()], 18))


def test_sums_over_pixels(function: Callable, pixels: np.ndarray, expected: np.ndarray) -> None:
    got = sums(function, pixels)
    assert got[0] == pytest.approx(pixels[-1, 1:4] @ pixels[-1, 4:7])
    np.testing.assert_allclose(got[1:9], expected, rtol=1e-12)


def test_sums_go_to_the_row_of_their_splat_in_units_of_pixels(
    function: Callable, pixels: np.ndarray, expected: np.ndarray
) -> None:
    got = sums(function, pixels)
    np.testing.assert_allclose(got[9:17], expected / [1, 1, 1, UNIT, UNIT, 1, 1, 1], rtol=1e-5)
    assert got[17] == 0  # the other splat's row stays


@pytest.mark.parametrize("wanted", [(0, 1), (1, 0), (0, 0)])
def test_what_nobody_wants_is_left_out(
    function: Callable, pixels: np.ndarray, wanted: tuple[int, int]
) -> None:
    written = sums(function, pixels, wanted)[9:17] != 0
    assert written.tolist() == [True] * 3 + [bool(wanted[0])] * 2 + [bool(wanted[1])] * 3


def test_places_of_sums(function: Callable) -> None:
    """By (sum within its array, distance between splats): colours have as many channels as the image."""
    places = [tuple(function("payload_place", [i], 2)) for i in range(8)]
    assert places == [*((i, 10) for i in range(3)), *((i, 2) for i in range(2)), *((i, 3) for i in range(3))]


@pytest.mark.parametrize(
    ("wanted", "sufficient"),
    [((0, 0), [1, 1, 1]), ((1, 0), [0, 1, 1]), ((0, 1), [0, 0, 1]), ((1, 1), [0, 0, 1])],
)
def test_what_has_to_be_summed_up_for_what_is_wanted(
    function: Callable, wanted: tuple[int, int], sufficient: list[int]
) -> None:
    got = function("payloads_wanted", wanted, 8)
    assert got[:3].tolist() == sufficient
    unit = 1 / UNIT if wanted[0] else 1  # of what was summed up in its place
    np.testing.assert_allclose(got[3:], [unit, unit, 1, 1, 1], rtol=1e-6)
