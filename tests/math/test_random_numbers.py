"""Random numbers without a state: known answers of Philox, and normal numbers from uniform ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

ALL = 0xFFFFFFFF
# Of Random123's kat_vectors: counter, key, numbers.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ALL, ALL, ALL, ALL), (ALL, ALL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(function: Callable, counter: tuple, key: tuple, expected: tuple) -> None:
    assert tuple(function("random4", [*counter, *key], 4).astype(int)) == expected


def test_numbers_of_a_row_come_from_row_seed_and_step(function: Callable) -> None:
    row, seed, step = (3, 5), (7, 11), (13, 17)
    expected = function("random4", [*row, *step, *seed], 4)
    np.testing.assert_array_equal(function("random4_of_row", [*row, *seed, *step], 4), expected)


def test_uniform_numbers_are_the_middles_of_their_shares(function: Callable) -> None:
    """As far as a float tells; never zero, of which a logarithm is taken."""
    for x in (0, 1, 2, 1000, 1 << 23, 3 << 30, ALL):
        assert function("uniform1", [x], 1)[0] == pytest.approx((x + 0.5) / 2**32, rel=1e-7)


def test_normal_numbers_are_those_of_box_and_muller(function: Callable) -> None:
    for a in (1e-9, 0.1, 0.5, 0.99, 1.0):
        for b in (0.0, 0.1, 0.3, 0.62, 0.9, 1.0):
            radius, angle = np.sqrt(-2 * np.log(np.float32(a))), 2 * np.pi * np.float32(b)
            got = function("normal2", [a, b], 2)
            np.testing.assert_allclose(got, [radius * np.cos(angle), radius * np.sin(angle)], atol=3e-6)


def test_the_vector_of_a_row_takes_three_of_its_four_normal_numbers(function: Callable) -> None:
    x = [0.2, 0.7, 0.6, 0.15]
    expected = [*function("normal2", x[:2], 2), function("normal2", x[2:], 2)[0]]
    np.testing.assert_array_equal(function("normal3", x, 3), expected)
