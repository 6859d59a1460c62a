"""Noise on centres: how freely a Gaussian moves, along which axes, and when noise changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation


def test_the_gate_falls_from_one_to_zero_around_its_threshold(function: Callable) -> None:
    assert function("gate", [0.995, 100.0, 0.995], 1)[0] == 0.5
    for opacity in (0.0, 0.9, 0.99, 1.0):
        expected = 1 / (1 + np.exp(100 * (opacity - 0.995)))
        assert function("gate", [opacity, 100.0, 0.995], 1)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_the_covariance_times_the_normal_vector(function: Callable, seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, x, y, z = rng.normal(size=4)
    scale, normal = rng.uniform(0.1, 2, 3), rng.normal(size=3)
    r = Rotation.from_quat([x, y, z, w]).as_matrix()
    expected = r @ np.diag(scale**2) @ r.T @ normal
    np.testing.assert_allclose(function("noise", [w, x, y, z, *scale, *normal], 3), expected, rtol=1e-9)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("largest", range(3))
@pytest.mark.parametrize("sign", [1, -1])
def test_a_centre_stays_where_ten_deviations_change_no_bit(
    function: Callable, axis: int, largest: int, sign: int
) -> None:
    """Noise has at most ten times the largest variance; half a unit in the last place of the mean decides."""
    mean = np.full(3, 3e5)
    mean[axis] = sign * 3.0  # the number that is nearest to zero has the finest steps
    scale = np.full(3, 1e-4)
    scale[largest] = 2e-3
    half_step = np.spacing(np.float32(3.0)) / 2
    for factor, stays in ((0.9, True), (1.2, False)):
        strength = factor * half_step / (10 * 2e-3**2)
        assert bool(function("in_place", [*mean, *scale, strength], 1)[0]) is stays
