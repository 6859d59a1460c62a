"""The soak itself: a short one is clean, and it notices what it is there for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from paths import SAMPLE

from soak.__main__ import soak
from soak.life import BrokenPromiseError, Life


def test_a_run_that_is_stopped_and_resumed_ends_as_one_that_was_left_alone(tmp_path: Path) -> None:
    events = soak(0.1, 5, tmp_path)  # one run, whatever the clock says
    assert events["finished"] == 1 <= events["started"]  # more where it was stopped before there was a folder


def test_another_scene_than_the_expected_one_is_noticed(tmp_path: Path) -> None:
    life = Life(SAMPLE, tmp_path, random.Random(0), expected="0" * 64)
    life.run.path.mkdir()
    life.run.point_cloud.write_bytes(b"another one")
    with pytest.raises(BrokenPromiseError, match="not the scene of a run that was left alone"):
        life.to_the_end(interruptions=0)


def test_a_command_that_ends_otherwise_than_it_may_is_noticed(tmp_path: Path) -> None:
    life = Life(tmp_path / "nothing", tmp_path, random.Random(0))
    with pytest.raises(BrokenPromiseError, match=r"ended with 3, not \[0\].*nothing"):
        life.to_the_end(interruptions=0)
