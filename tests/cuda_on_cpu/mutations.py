"""Takes away one barrier of the kernels after the other: would the tests notice?

    make mutations MUTATIONS="--only barriers"

A barrier is left out when the kernels run, by its place in the source, so that nothing is compiled again. The
cases of the workload that wait there then run in order and in random orders, until the checker reports
something or a result is wrong.
Barriers that are left out unnoticed stand in ``barriers_not_needed.json`` with the reason. What is neither
noticed nor named there is a gap in the tests, and what is named there but noticed is named in error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from cuda_on_cpu import workload
from cuda_on_cpu.operators import CSRC, emulated
from cuda_on_cpu.translate import barriers

NOT_NEEDED = Path(__file__).with_name("barriers_not_needed.json")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Barrier:
    """A line of the source that waits for other threads."""

    file: Path
    line: int

    @property
    def place(self) -> str:
        return f"{self.file.name}:{self.line}"

    @property
    def text(self) -> str:
        return self.file.read_text().splitlines()[self.line - 1].strip()

    @property
    def key(self) -> str:
        """Names the barrier as long as neither it nor its predecessors in the file change."""
        earlier = [line for line in barriers(self.file.read_text()) if line < self.line]
        return f"{self.file.name}, barrier {len(earlier) + 1}: {self.text}"


def all_barriers() -> list[Barrier]:
    files = sorted([*CSRC.glob("cuda/**/*.cu"), *CSRC.glob("cuda/*.cuh")])
    return [Barrier(file, line) for file in files for line in barriers(file.read_text())]


def not_needed() -> dict[str, str]:
    """Reasons by the key of the barrier."""
    reasons: dict[str, str] = json.loads(NOT_NEEDED.read_text())
    return reasons


def noticed(barrier: Barrier, in_order: Sequence[workload.Ran]) -> str | None:
    """What shows that the barrier is missing: a report or the name of a wrong result."""
    waiting = sorted(
        (ran for ran in in_order if barrier.place in ran.waits), key=lambda ran: ran.loaded_bytes
    )
    for seed, ran in product(SEEDS, waiting):
        try:
            with emulated(seed=seed, without=barrier.place):
                results = ran.case()
        except (AssertionError, RuntimeError) as problem:
            return str(problem).splitlines()[0]
        for name, value in ran.results.items():
            if workload.distance(results[name], value) > 1e-4:
                return f"with seed {seed}, {name} of {ran.name} is wrong"
    return None


def main() -> int:
    torch.set_num_threads(1)
    in_order = workload.run_in_order()
    reasons = not_needed()
    gaps = 0
    for barrier in all_barriers():
        what = noticed(barrier, in_order)
        if what is None and barrier.key in reasons:
            verdict = f"not needed: {reasons[barrier.key]}"
        elif what is None:
            verdict, gaps = "NOT NOTICED", gaps + 1
        elif barrier.key in reasons:
            verdict, gaps = f"NAMED IN ERROR, noticed: {what}", gaps + 1
        else:
            verdict = f"noticed: {what}"
        print(f"{barrier.key}\n    {barrier.place}  {verdict}")
    return gaps != 0


if __name__ == "__main__":
    sys.exit(main())
