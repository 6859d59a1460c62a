"""The elementary functions are accurate to a few units in the last place and give normal numbers."""

from __future__ import annotations

import numpy as np
import pytest
from formulas import Formulas

EPS = float(np.finfo(np.float32).eps)


def test_exp_is_accurate_to_two_ulp(formulas: Formulas) -> None:
    x = np.concatenate([np.linspace(-87.3, 87.3, 5003), np.linspace(-8, 8, 5003)]).astype(np.float32)
    got = np.array([formulas.exp(float(v)) for v in x])
    np.testing.assert_allclose(got, np.exp(x.astype(np.float64)), rtol=2 * EPS)


def test_exp_and_its_inverse_are_normal_numbers_everywhere(formulas: Formulas) -> None:
    for x in (-np.inf, -1e30, -88.0, 88.0, 1e30, np.inf):
        assert np.finfo(np.float32).tiny <= formulas.exp(x) <= 1 / np.finfo(np.float32).tiny


def test_exp2_is_accurate_to_two_ulp(formulas: Formulas) -> None:
    x = np.concatenate([np.linspace(-126, 126, 5003), np.linspace(-8, 0, 5003)]).astype(np.float32)
    got = np.array([formulas.exp2(float(v)) for v in x])
    np.testing.assert_allclose(got, np.exp2(x.astype(np.float64)), rtol=2 * EPS)


def test_exp2_of_far_away_pixels_is_a_normal_number(formulas: Formulas) -> None:
    for x in (-127.0, -149.0, -1e4, -1e30, -np.inf):
        assert formulas.exp2(x) >= np.finfo(np.float32).tiny


def test_exp2_is_finite_for_large_powers(formulas: Formulas) -> None:
    assert np.isfinite(formulas.exp2(1e30))


def test_exp2_where_is_zero_outside_the_mask(formulas: Formulas) -> None:
    assert formulas.exp2_where(False, -3.0) == 0.0
    assert formulas.exp2_where(True, -3.0) == pytest.approx(0.125, rel=2 * EPS)


def test_log2_is_accurate_to_two_ulp(formulas: Formulas) -> None:
    x = np.concatenate([np.geomspace(1e-30, 1e30, 5003), np.linspace(0.001, 4, 5003)]).astype(np.float32)
    got = np.array([formulas.log2(float(v)) for v in x])
    np.testing.assert_allclose(got, np.log2(x.astype(np.float64)), rtol=2 * EPS, atol=2 * EPS)


def test_cosine_and_sine_of_turns_are_accurate_to_two_ulp_of_one(formulas: Formulas) -> None:
    eighths = np.arange(9) / 8
    x = np.concatenate([np.linspace(0, 1, 5003), eighths, eighths[1:] - 1e-7]).astype(np.float32)
    got = np.array([formulas.cos_sin_of_turns(float(v)) for v in x])
    angle = 2 * np.pi * x.astype(np.float64)
    np.testing.assert_allclose(got, np.stack([np.cos(angle), np.sin(angle)], axis=1), rtol=0, atol=2 * EPS)


def test_the_angle_of_a_point_is_accurate_to_two_ulp(formulas: Formulas) -> None:
    """Relatively where it is small, else to 2 ulp of pi; in all quarters, at their ends, at all sizes."""
    turns = np.concatenate(
        [np.linspace(-0.5, 0.5, 5003)[1:], np.arange(-3, 5) / 8, np.geomspace(1e-8, 0.1, 500)]
    )
    for size in (1e-18, 1.0, 1e18):
        y = (size * np.sin(2 * np.pi * turns)).astype(np.float32)
        x = (size * np.cos(2 * np.pi * turns)).astype(np.float32)
        got = np.array([formulas.atan2(float(a), float(b)) for a, b in zip(y, x, strict=True)])
        expected = np.arctan2(y.astype(np.float64), x.astype(np.float64))
        np.testing.assert_allclose(got, expected, rtol=2 * EPS, atol=0)
    assert formulas.atan2(0.0, 0.0) == 0.0
