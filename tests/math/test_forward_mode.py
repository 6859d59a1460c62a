"""Dual numbers made of values and tangents that are read separately give the changes of a splat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from formulas import Formulas


def view(rng: np.random.Generator) -> np.ndarray:
    """A pinhole camera 18 that sees a Gaussian 11."""
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation = q * np.sign(np.linalg.det(q))
    mean = rng.normal(size=3)
    translation = np.array([0.2, -0.1, 4.0]) - rotation @ mean
    gaussian = [*mean, *rng.normal(size=4), *rng.uniform(0.05, 0.4, 3), 0.6]
    return np.array([*rotation.ravel(), *translation, 80.0, 75.0, 50.0, 30.0, 96.0, 64.0, *gaussian])


def without_size(numbers: np.ndarray) -> np.ndarray:
    return np.delete(numbers, [16, 17])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("still", [False, True])
def test_a_splat_moves_with_its_gaussian_and_its_camera(
    function: Callable, formulas: Formulas, seed: int, still: bool
) -> None:
    rng = np.random.default_rng(seed)
    x = view(rng)
    tangent = 0.3 * rng.normal(size=29)
    got = function("moving_splat", [*x, *tangent, 0.3, still], 6)
    if still:
        tangent[:18] = 0
    expected = formulas.jvp("project_antialiased of pinhole", without_size(x), without_size(tangent))
    np.testing.assert_allclose(got, np.delete(expected, 5), rtol=1e-10, atol=1e-10)


def test_far_outside_the_size_of_the_image_counts_as_constant(function: Callable) -> None:
    """There the Jacobian is clamped to the image, whose size does not move, whatever its tangent holds."""
    x = view(np.random.default_rng(0))
    x[:12] = [*np.eye(3).ravel(), 0, 0, 0]
    x[18:21] = [9.0, -8.0, 2.0]
    tangent = np.zeros(29)
    tangent[16:18] = 1.0
    np.testing.assert_array_equal(function("moving_splat", [*x, *tangent, 0.3, 0], 6), np.zeros(6))


def test_far_outside_it_moves_as_the_clamped_jacobian_says(function: Callable, formulas: Formulas) -> None:
    """Below, right of it and above: by limits of its width and of its height."""
    x = view(np.random.default_rng(0))
    x[:12] = [*np.eye(3).ravel(), 0, 0, 0]
    x[20] = 2.0
    for x[18], x[19] in ((9.0, 8.0), (9.0, -8.0)):
        tangent = np.zeros(29)
        tangent[18:] = np.linspace(-0.3, 0.4, 11)
        expected = formulas.jvp("project_antialiased of pinhole", without_size(x), without_size(tangent))
        got = function("moving_splat", [*x, *tangent, 0.3, 0], 6)
        np.testing.assert_allclose(got, np.delete(expected, 5), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("uncapped", [True, False])
def test_the_opacity_at_a_pixel(function: Callable, uncapped: bool) -> None:
    """By finite differences of 2^(log2 o - u^2 - v^2); a capped one does not change."""
    x = np.array([0.5, -0.3, 0.8, -0.4, 0.6, -0.5])
    tangent = np.array([0.2, 0.3, -0.4, 0.7, -0.6, 0.9])

    def alpha(y: np.ndarray) -> float:
        l11, l21, l22, log2_opacity, dx, dy = y
        return float(2 ** (log2_opacity - (l11 * dx + l21 * dy) ** 2 - (l22 * dy) ** 2))

    got = function("moving_opacity", [*x[:4], *tangent[:4], *x[4:], *tangent[4:], uncapped], 2)
    slope = (alpha(x + 1e-5 * tangent) - alpha(x - 1e-5 * tangent)) / 2e-5
    np.testing.assert_allclose(got, [alpha(x), slope if uncapped else 0.0], rtol=1e-8)
