"""Systems of symmetric matrices are solved, also those of which nothing or rounding is left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

UPPER = np.triu_indices(4)


@pytest.mark.parametrize("seed", range(4))
def test_systems_are_solved(function: Callable, seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 4))
    a, added, x = root @ root.T, rng.uniform(0.1, 1, 4), rng.normal(size=4)
    whole = a + np.diag(added)
    got = function("solve4", [*a[UPPER], *added, *(whole @ x)], 14)
    np.testing.assert_allclose(got[10:], x, rtol=1e-9)
    factor = np.zeros((4, 4))
    factor[UPPER] = got[:10]
    factor[np.diag_indices(4)] = 1 / np.diag(factor)
    np.testing.assert_allclose(factor.T @ factor, whole, rtol=1e-12, atol=1e-12)


def test_what_has_no_curvature_stays(function: Callable) -> None:
    """A row of zeros, a Gaussian that nobody sees: its solution is zero, not NaN."""
    a = np.diag([2.0, 0.0, 4.0, 0.0])
    got = function("solve4", [*a[UPPER], *np.zeros(4), 2.0, 3.0, 8.0, 5.0], 14)
    np.testing.assert_allclose(got[10:], [1, 0, 2, 0])


@pytest.mark.parametrize("excess", [0.0, 1e-9, -1e-9])
def test_pivots_that_cancel_count_as_a_millionth(function: Callable, excess: float) -> None:
    """Two parameters that do the same but for rounding."""
    a = np.eye(4)
    a[0, 1] = a[1, 0] = 1.0
    a[1, 1] += excess
    factor = function("solve4", [*a[UPPER], *np.zeros(4), *np.zeros(4)], 14)
    assert factor[4] == pytest.approx(1e3, rel=1e-6)
