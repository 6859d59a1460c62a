"""What a scalar type must offer, in single and in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["scalars32", "scalars64"])
@pytest.mark.parametrize(
    ("a", "b", "c"), [(1.75, -0.5, 3.0), (-1.75, 2.5, 0.25), (2.0, 2.0, -1.0), (-0.25, -0.75, 0.5)]
)
def test_functions_of_scalars(function: Callable, name: str, a: float, b: float, c: float) -> None:
    expected = [
        a if a < b else b,
        min(a, b),
        max(a, b),
        abs(a),
        math.sqrt(abs(a)),
        math.floor(a),
        a - math.floor(a),
        c if a < b else 0.0,
        a * b + c,
        1 / (a * a + 1),
    ]
    np.testing.assert_allclose(function(name, [a, b, c], 10), expected, rtol=1e-7)


def test_products_are_added_with_one_rounding(function: Callable) -> None:
    """The square of 1 + 2^-k less its rounded value is the rounding error 2^-2k."""
    for name, k in (("scalars32", 13), ("scalars64", 27)):
        a = 1 + 2.0**-k
        assert function(name, [a, a, -(1 + 2 * 2.0**-k)], 10)[8] == 2.0 ** (-2 * k)


@pytest.mark.parametrize("value", [1.0, 1.5, 1.9999999, 2.0, 3.7e-38, 2.5e38, 0.3])
def test_numbers_are_split_into_mantissa_and_exponent(function: Callable, value: float) -> None:
    _, _, mantissa, exponent = function("exponents", [value, 0.0, 1.0], 4)
    assert 1 <= mantissa < 2
    assert exponent == int(exponent)
    assert mantissa * 2.0**exponent == np.float32(value)


@pytest.mark.parametrize("power", [-126.0, -3.5, -0.25, 0.0, 0.75, 3.0, 127.0])
def test_numbers_are_scaled_by_whole_powers(function: Callable, power: float) -> None:
    expected = 1.25 * 2.0 ** math.floor(power)
    assert function("exponents", [1.25, power, 1.0], 4)[:2].tolist() == [expected, expected]
    assert function("exponents", [1.25, power, 0.0], 4)[:2].tolist() == [expected, 0.0]
