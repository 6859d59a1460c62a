from __future__ import annotations

import pytest

from trainers.schedules import exponential, sh_degree_at


@pytest.mark.parametrize(("step", "rate"), [(0, 1.6e-4), (7000, 5.46e-5), (15000, 1.6e-5), (30000, 1.6e-6)])
def test_position_learning_rate_of_3dgs(step, rate):
    assert exponential(1.6e-4, 1.6e-6, step, 30_000) == pytest.approx(rate, rel=1e-3)


def test_exponential_stays_at_its_ends():
    assert exponential(2.0, 1.0, 200, 100) == pytest.approx(1.0)


def test_sh_degree_rises_by_one_at_each_interval_up_to_the_maximum():
    assert [sh_degree_at(step, 1000, 3) for step in (1, 999, 1000, 1999, 2000, 3000, 9000)] == [
        0,
        0,
        1,
        1,
        2,
        3,
        3,
    ]
