"""Schedules keep their fractions of the run, within the limits of what density control can bear."""

from __future__ import annotations

import pytest

from gsplat_core.densify import ADCConfig
from gsplat_core.densify.stretching import (
    MIN_REFINE_EVERY,
    MIN_RESET_EVERY,
    point_in_time,
    refinement_interval,
    reset_interval,
)


@pytest.mark.parametrize("factor", [0.01, 0.1, 0.5, 1.0, 2.0])
def test_points_in_time_keep_their_fraction(factor: float) -> None:
    assert point_in_time(15_000, factor) == 15_000 * factor
    assert point_in_time(1, factor / 100) == 1


def test_refinements_are_not_rarer_than_before_nor_too_dense() -> None:
    assert [refinement_interval(100, factor) for factor in (2.0, 1.0, 0.7, 0.1)] == [
        100,
        100,
        70,
        MIN_REFINE_EVERY,
    ]
    assert refinement_interval(20, 0.5) == 20


def test_resets_that_would_come_too_often_do_not_come() -> None:
    every, stop = 3 * MIN_RESET_EVERY, 7500
    assert reset_interval(every, 1.0, stop) == every
    assert reset_interval(every, 0.5, stop) == every / 2
    assert reset_interval(every, 1 / 3, stop) == MIN_RESET_EVERY
    assert reset_interval(every, 0.3, stop) == stop


@pytest.mark.parametrize("factor", [0.1, 0.5, 2.0])
def test_every_step_of_adc_follows(factor: float) -> None:
    before, after = ADCConfig(), ADCConfig().stretched(factor)
    for name in ("refine_start", "refine_stop", "prune_scale_start"):
        assert getattr(after, name) == point_in_time(getattr(before, name), factor)
    assert after.refine_every == refinement_interval(before.refine_every, factor)
    assert after.reset_every == reset_interval(before.reset_every, factor, after.refine_stop)
