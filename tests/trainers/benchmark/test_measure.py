"""Medians of times, of which the first does not count."""

from __future__ import annotations

import time

import pytest

from trainers.benchmark.measure import Seconds, median_seconds


def test_medians_leave_out_the_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [100.0, 3.0, 1.0, 7.0]
    clock = {"wall": 0.0, "cpu": 0.0}
    waiting = iter(runs)

    def work() -> None:
        seconds = next(waiting)
        clock["wall"] += seconds
        clock["cpu"] += 2 * seconds

    monkeypatch.setattr(time, "perf_counter", lambda: clock["wall"])
    monkeypatch.setattr(time, "process_time", lambda: clock["cpu"])
    assert median_seconds(work, repeats=3) == Seconds(wall=3.0, cpu=6.0)
    assert list(waiting) == []
