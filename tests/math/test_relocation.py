"""N Gaussians in the place of one: their opacity at the centre, and what a ray accumulates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.mark.parametrize("opacity", [0.005, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("copies", [1, 2, 3, 7, 20])
def test_the_copies_render_like_the_original(function: Callable, opacity: float, copies: int) -> None:
    each, ratio = function("relocation", [opacity, copies], 2)
    assert 1 - (1 - each) ** copies == pytest.approx(opacity, rel=1e-9)
    x = np.linspace(-12, 12, 20001)
    together = 1 - (1 - each * np.exp(-(x**2) / (2 * ratio**2))) ** copies
    alone = opacity * np.exp(-(x**2) / 2)
    assert together.sum() == pytest.approx(alone.sum(), rel=1e-6)


def test_one_copy_is_the_original(function: Callable) -> None:
    np.testing.assert_allclose(function("relocation", [0.4, 1], 2), [0.4, 1.0], rtol=1e-12)


def test_what_is_opaque_counts_as_just_below(function: Callable) -> None:
    below = function("relocation", [1 - 2.0**-23, 4], 2)
    np.testing.assert_array_equal(function("relocation", [1.0, 4], 2), below)
    assert below[0] == pytest.approx(1 - 2 ** (-23 / 4), rel=1e-9)


def test_nothing_stays_nothing(function: Callable) -> None:
    np.testing.assert_array_equal(function("relocation", [0.0, 3], 2), [0.0, 1.0])
