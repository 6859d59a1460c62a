"""Moments of a splat's pixels give the products of any two changes of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


def test_monomials(function: Callable) -> None:
    u, v = 0.7, -1.3
    expected = [u ** (n - j) * v**j for n in range(5) for j in range(n + 1)]
    np.testing.assert_allclose(function("monomials15", [u, v], 15), expected)


def test_sizes(function: Callable) -> None:
    quartic, moments, geometry, pairs = function("moment_sizes", [], 4)
    assert quartic == sum(n + 1 for n in range(5))
    assert moments == quartic + 3 + 3 * 6  # of ln alpha, of the colours, of both
    assert geometry == 3 + 4 + 3 + 1  # mean, quaternion, scales, opacity
    assert pairs == len(np.triu_indices(int(geometry))[0])


@pytest.mark.parametrize("seed", range(3))
def test_products_of_changes_come_from_moments(function: Callable, seed: int) -> None:
    """Pixel by pixel, colour c changes by e_c d(ln alpha) + w d(colour_c), with a weight for each channel."""
    rng = np.random.default_rng(seed)
    moments, expected = np.zeros(36), 0.0
    a, b = rng.normal(size=(2, 9))
    for _ in range(5):
        u, v, w = rng.normal(size=3)
        weights, e = rng.uniform(0.1, 1, 3), rng.normal(size=3)
        monomials = function("monomials15", [u, v], 15)
        alpha, *others = function("moments_of_pixel", [*weights, *e, w], 7)
        moments[:15] += alpha * monomials
        moments[15:18] += others[:3]
        moments[18:] += np.outer(others[3:], monomials[:6]).ravel()
        by_a, by_b = (e * (c[:6] @ monomials[:6]) + w * c[6:] for c in (a, b))
        expected += float(weights @ (by_a * by_b))
    assert function("quadratic_form", [*moments, *a, *b], 1)[0] == pytest.approx(expected, rel=1e-10)


def test_gradient_of_the_mean_from_one_pixel(function: Callable) -> None:
    """In scaled units: half the gradient of log2 alpha, which is -(u^2 + v^2), by finite differences."""
    l11, l21, l22 = root = np.array([0.5, -0.3, 0.8])
    dx, dy, e = 1.2, -0.7, 1.7

    def log_alpha(mx: float, my: float) -> float:
        u, v = l11 * (dx - mx) + l21 * (dy - my), l22 * (dy - my)
        return -(u * u + v * v)

    h = 1e-6
    slopes = [(log_alpha(h, 0) - log_alpha(-h, 0)) / (2 * h), (log_alpha(0, h) - log_alpha(0, -h)) / (2 * h)]
    got = function("mean_gradient_of_pixel", [*root, 0.0, e, l11 * dx + l21 * dy, l22 * dy], 2)
    np.testing.assert_allclose(2 * got, e * np.array(slopes), rtol=1e-6)
