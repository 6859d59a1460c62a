"""Whether a training step became slower between two checkouts of this repository, both built.

    python tools/compare_checkouts.py ../before .          ratios of the second to the first

Processes of the two alternate, so that slow minutes of a shared machine fall on both, and each figure is the
median over the rounds of processor time on one thread. Beside the step and its stages there is what is left
between the operators: Python, autograd and PyTorch's own operators.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

# Runs in a process of each checkout: its packages are those of the folder in which it starts.
MEASURE = """
import json, sys
from trainers.benchmark.measure import Case
from trainers.benchmark.step import time_steps
times = time_steps(Case(gaussians=int(sys.argv[1]), repeats=int(sys.argv[2]), threads=1))
print(json.dumps({"step": times.step.cpu, **times.stages, "Python and PyTorch": times.overhead}))
"""


def main(before: Path, after: Path, /, rounds: int = 5, repeats: int = 15, gaussians: int = 150_000) -> None:
    """Compare the training step of two checkouts.

    Args:
        before: a checkout, built in place.
        after: another one.
        rounds: processes of each.
        repeats: steps that are measured in each process.
        gaussians: of the reference scene.
    """
    figures: dict[Path, dict[str, list[float]]] = {before: defaultdict(list), after: defaultdict(list)}
    for turn in range(rounds):
        # Who goes first changes, in case the machine slows down or speeds up all the time.
        for checkout in (before, after) if turn % 2 == 0 else (after, before):
            for name, seconds in measured(checkout.resolve(), gaussians, repeats).items():
                figures[checkout][name].append(seconds)
    table = Table("per step", "before, ms", "after, ms", "ratio", title=f"{rounds} rounds of {repeats} steps")
    for name, values in figures[before].items():
        first, second = statistics.median(values), statistics.median(figures[after][name])
        pairs = zip(values, figures[after][name], strict=True)
        ratio = statistics.median(b / a for a, b in pairs)
        table.add_row(name, f"{1e3 * first:.2f}", f"{1e3 * second:.2f}", f"{ratio:.3f}")
    Console(highlight=False).print(table)


def measured(checkout: Path, gaussians: int, repeats: int) -> dict[str, float]:
    """Seconds of a step and its parts in one process."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEASURE, str(gaussians), str(repeats)]
    done = subprocess.run(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    tyro.cli(main)
