"""csrc/math/sightings.h: the heaviest splats of a pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.mark.parametrize("room", [1, 2, 5, 12])
def test_the_heaviest_stay_in_their_order_and_of_equal_ones_the_nearest(
    function: Callable, room: int
) -> None:
    g = np.random.default_rng(room)
    for given in (0, 1, 4, 12, 40):
        weights = g.integers(1, 9, given) / 8  # many are equal
        found = function("heaviest_of_list", [room, given, *weights], 2 + 2 * room)
        heaviest = sorted(range(given), key=lambda i: (-weights[i], i))[:room]
        expected = sorted(heaviest)
        padding = room - len(expected)
        assert found[0] == len(expected)
        assert found[1] == (0 if padding else min(weights[expected]))
        np.testing.assert_array_equal(found[2 : 2 + room], [*expected, *[-1] * padding])
        np.testing.assert_array_equal(found[2 + room :], [*weights[expected], *[0] * padding])
