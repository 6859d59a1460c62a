"""trainers/time_left.py: how long the rest of a run takes is foreseen while its steps become slower."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from trainers.time_left import TimeLeft

STEPS, ENDS, CAP = 7_000, 4_000, 100_000


def one_size(step: int) -> float:
    return 1.0


def small_at_first(step: int) -> float:
    return min((1 + 3 * step / 1750) ** 2 / 16, 1.0)


def linearly(step: int) -> float:
    return 5_000 + 20 * min(step, ENDS)


def up_to_the_cap(step: int) -> float:
    return min(5_000 + 60 * step, CAP)


def by_shares(step: int) -> float:
    return min(5_000 * 1.05 ** (min(step, ENDS) // 100), CAP)


@pytest.mark.parametrize("at", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize(
    ("pixels", "gaussians", "most"),
    [
        (one_size, linearly, None),
        (one_size, up_to_the_cap, CAP),
        (one_size, by_shares, CAP),
        (small_at_first, linearly, None),
        (small_at_first, by_shares, CAP),
    ],
)
def test_the_end_is_foreseen(
    pixels: Callable[[int], float], gaussians: Callable[[int], float], most: int | None, at: float
) -> None:
    """Within a quarter. The mean speed up to then would be wrong by up to eight times."""
    elapsed = [0.0]
    for step in range(1, STEPS + 1):
        elapsed.append(elapsed[-1] + 0.02 * pixels(step) + 2e-6 * gaussians(step))
    left = TimeLeft(STEPS, pixels, ENDS, most)
    now, shown = round(at * STEPS), -1.0
    for step in range(1, now + 1):
        if elapsed[step] > shown + 0.5:
            left.update(elapsed[step], step, round(gaussians(step)))
            shown = elapsed[step]
    assert left.seconds() == pytest.approx(elapsed[-1] - elapsed[now], rel=0.25)


def test_without_steps_nothing_is_known() -> None:
    left = TimeLeft(10)
    assert math.isnan(left.seconds())
    left.update(3.0, 1, 100)
    assert math.isnan(left.seconds())
    assert left.per_second == 0
    left.update(5.0, 5, 100)
    assert left.per_second == pytest.approx(2.0)
    assert left.seconds() == pytest.approx(2.5)


def test_the_speed_is_that_of_the_last_steps() -> None:
    left = TimeLeft(10_000)
    for second in range(300):
        left.update(float(second), 10 * second, 100)
    for second in range(300, 420):
        left.update(float(second), 3_000 + (second - 300), 100)
    assert left.per_second == pytest.approx(1.0, rel=0.2)
    assert left.seconds() == pytest.approx(10_000 - 3_119, rel=0.2)
