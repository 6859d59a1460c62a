"""The line that a run shows: speed and time left follow from its last steps."""

from __future__ import annotations

import re
import resource
import sys
import time
from io import StringIO

import pytest
from rich.console import Console

from trainers.progress import TrainingProgress, duration, peak_memory_bytes


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (75.3, "1:15"),
        (59.6, "1:00"),
        (3599, "59:59"),
        (3700, "1:01:40"),
        (36061, "10:01:01"),
        (-1, "?"),
        (1e8, "?"),
        (float("nan"), "?"),
        (float("inf"), "?"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_come_at_most_every_five_seconds_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    output = StringIO()
    progress = TrainingProgress(100, Console(file=output, width=200))
    with progress:
        for step, seconds in ((10, 101.0), (20, 104.9), (30, 105.0), (40, 109.9), (50, 110.0), (100, 110.5)):
            now[0] = seconds
            progress.update(step, 0.5, 20.0, 1234)
    lines = output.getvalue().strip().splitlines()
    assert [re.match(r"step (\d+)/100", line)[1] for line in lines] == ["30", "50", "100"]  # type: ignore[index]
    assert "5.0 it/s" in lines[0]
    assert lines[0].endswith("0:14 left")
    # 20 steps in 4 seconds, then 20 in 5, which count a little more.
    assert "4.4 it/s" in lines[1]
    assert lines[1].endswith("0:11 left")
    assert lines[2].endswith("0:00 left")
    assert "loss 0.5000  PSNR 20.00  1,234 Gaussians" in lines[0]


def test_before_it_knows_its_speed_a_run_does_not_tell_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    output = StringIO()
    progress = TrainingProgress(1, Console(file=output, width=200))
    progress.update(1, 0.5, 20.0, 5)
    assert output.getvalue().rstrip().endswith("? left")


def test_a_run_may_become_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    output = StringIO()
    progress = TrainingProgress(10, Console(file=output, width=200))
    for step, seconds in ((5, 105.0), (10, 110.0)):
        now[0] = seconds
        progress.update(step, 0.5, 20.0, 5)
        progress.expect(30)
    lines = output.getvalue().strip().splitlines()
    assert [line.split()[1] for line in lines] == ["5/10", "10/30"]
    assert lines[1].endswith("0:20 left")


def test_memory_is_in_bytes() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_memory_bytes() == used * (1 if sys.platform == "darwin" else 1024)
