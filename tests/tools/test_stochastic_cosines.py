"""tools/stochastic_cosines.py: what lists of pixels are worth."""

from __future__ import annotations

import math

import stochastic_cosines
from stochastic_cosines import NUM, cosines, problem


def test_lists_find_the_gradient_with_fewer_draws() -> None:
    """Without lists as the theory says, for any scene; with them as well as with four times as many draws."""
    scenes = [(seed, problem(seed)) for seed in range(10, 13)]
    with_lists = sum(cosines(scene, True, seed, (32,))[0] for seed, scene in scenes) / 3
    without = [cosines(scene, False, seed, (32, 128)) for seed, scene in scenes]
    few, many = (sum(of) / 3 for of in zip(*without, strict=True))
    for draws, found in ((32, few), (128, many)):
        assert abs(found - math.sqrt(draws / (draws + 3 * NUM - 1))) < 0.1
    assert with_lists > few + 0.1
    assert with_lists > many - 0.05


def test_scenes_are_as_crowded_as_they_say() -> None:
    assert all(3 < problem(seed).listed < 8 for seed in range(3))
    assert stochastic_cosines.DRAWS[0] == 4
