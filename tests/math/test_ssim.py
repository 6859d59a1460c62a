"""SSIM of one window and its derivatives, against the definition and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator

C1, C2 = 0.01**2, 0.03**2


def window_of_pixels(rng: Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights that add up to 1, and two images that resemble each other."""
    weights = rng.uniform(0.1, 1, 25)
    x = rng.uniform(0.2, 0.8, 25)
    return weights / weights.sum(), x, 0.7 * x + 0.1 + 0.1 * rng.normal(size=25)


def definition(weights: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    m1, m2 = weights @ x, weights @ y
    v1, v2, v12 = weights @ (x - m1) ** 2, weights @ (y - m2) ** 2, weights @ ((x - m1) * (y - m2))
    return (2 * m1 * m2 + C1) * (2 * v12 + C2) / ((m1**2 + m2**2 + C1) * (v1 + v2 + C2))


def moments(weights: np.ndarray, x: np.ndarray, y: np.ndarray, pivot: float) -> list[float]:
    a, b = x - pivot, y - pivot
    return [weights @ a, weights @ b, weights @ (a * a + b * b), weights @ (a * b), pivot]


@pytest.mark.parametrize("pivot", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_value_and_gradient(function: Callable, seed: int, pivot: float) -> None:
    weights, x, y = window_of_pixels(np.random.default_rng(seed))
    value, *by = function("ssim", moments(weights, x, y, pivot), 4)
    assert value == pytest.approx(definition(weights, x, y), rel=1e-6)
    for i in range(0, 25, 6):
        h = np.zeros(25)
        h[i] = 1e-5
        slope = (definition(weights, x + h, y) - definition(weights, x - h, y)) / 2e-5
        filtered = [weights[i] * d for d in by]
        got = function("ssim_gradient", [*filtered, x[i] - pivot, y[i] - pivot], 1)[0]
        assert got == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_derivatives_with_another_pivot(function: Callable) -> None:
    weights, x, y = window_of_pixels(np.random.default_rng(0))
    by = function("ssim", moments(weights, x, y, 0.25), 4)[1:]
    other = function("ssim", moments(weights, x, y, 0.625), 4)[1:]
    np.testing.assert_allclose(function("ssim_other_pivot", [*by, 0.375], 3), other, rtol=1e-5)


def test_rounding_that_breaks_the_inequality_of_moments_is_mended(function: Callable) -> None:
    """Of two plain walls at 0.5: no variance is negative, nor a covariance larger than variances allow."""
    level = [0.5, 0.5]
    plain = function("ssim", [*level, 0.5, 0.25, 0.0], 4)[0]
    assert plain == pytest.approx(1)
    assert function("ssim", [*level, 0.499, 0.25, 0.0], 4)[0] == pytest.approx(1)
    for excess, limit in ((1.0, 0.01), (-1.0, -0.01)):
        got = function("ssim", [*level, 0.52, 0.25 + excess, 0.0], 4)[0]
        assert got == pytest.approx((2 * limit + C2) / (0.02 + C2), rel=1e-5)


def test_the_window_is_a_gaussian_whose_floats_add_up_to_one(function: Callable) -> None:
    radius, taps = function("window_size", [], 2)
    assert (radius, taps) == (5, 11)
    window = np.array([function("window", [k], 1)[0] for k in range(11)], dtype=np.float32)
    gauss = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    np.testing.assert_allclose(window, gauss / gauss.sum(), rtol=2e-6)
    assert np.cumsum(window)[-1] == 1


def test_l1_has_the_sign_of_the_difference(function: Callable) -> None:
    got = [function("l1_gradient", [x, 0.5, 0.25], 1)[0] for x in (0.75, 0.5, 0.0)]
    assert got == [0.25, 0.0, -0.25]
