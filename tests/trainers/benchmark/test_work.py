"""Counts of a step's work, summed up from the operations and numbers that its equations have."""

from __future__ import annotations

import pytest

from trainers.benchmark.measure import Case, Seconds
from trainers.benchmark.step import STAGES, StepTimes
from trainers.benchmark.work import work_of_step

FLOAT = 4  # bytes
VISIBLE, ENTRIES, PAIRS = 11, 13, 17
PIXELS = 5 * 3

# (operations, bytes) of each stage
EXPECTED = {
    "activations": (VISIBLE * 4 * (15 + 1), VISIBLE * 4 * 5 * FLOAT),
    "project": (VISIBLE * 150, VISIBLE * (44 + 36)),
    "spherical harmonics": (VISIBLE * 150, VISIBLE * (48 + 8) * FLOAT),
    "composite": (PAIRS * (2 + 9 + 12 + 1 + 1 + 6 + 2), ENTRIES * (9 + 1) * FLOAT + PIXELS * 4 * FLOAT),
    "loss and its gradient": (PIXELS * 3 * (156 + 37 + 117), PIXELS * 3 * (1 + 2 * FLOAT)),
    "composite, backward": (
        PAIRS * (24 + 1 + 5 + 5 + 4 + 6 + 1 + 11),
        ENTRIES * (9 + 1 + 2 * 9) * FLOAT + 2 * PIXELS * 4 * FLOAT,
    ),
    "spherical harmonics, backward and Adam": (
        VISIBLE * (280 + 48 * (7 + 5)),
        VISIBLE * (56 + 48 * 6 * FLOAT),
    ),
    "project, backward": (VISIBLE * 400, VISIBLE * 2 * (44 + 36)),
    "Adam of the other parameters": (VISIBLE * 11 * (7 + 5), VISIBLE * 11 * 7 * FLOAT),
}


def times() -> StepTimes:
    return StepTimes(Case(width=5, height=3), "generic", Seconds(4.0, 2.0), {}, VISIBLE, ENTRIES)


@pytest.mark.parametrize("stage", EXPECTED)
def test_work_of_a_stage(stage: str) -> None:
    assert work_of_step(times(), PAIRS)[stage] == EXPECTED[stage]


def test_every_stage_that_computes_has_its_work() -> None:
    assert set(work_of_step(times(), PAIRS)) == set(EXPECTED) == set(STAGES.values()) - {"bin"}
