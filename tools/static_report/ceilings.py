"""The ceilings in ceilings.json: what each figure about the CUDA kernels may be at most.

Groups of figures are architectures, such as ``90``, and the reference frame of ``tools/kernel_report.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

PATH = Path(__file__).resolve().parent / "ceilings.json"

Figures = dict[str, dict[str, dict[str, float]]]  # by group, kernel and quantity

# The whole of a kernel may grow a little before somebody has to look at it. What is counted while kernels
# run depends on the last bits of floats, which compilers of the emulation may round differently.
SLACK = {
    "instructions": 1.05,
    "slots per pixel": 1.005,
    "million warp instructions": 1.005,
    "atomics per visit": 1.005,
}


def read() -> Figures:
    figures: Figures = json.loads(PATH.read_text())
    return figures


def write(figures: Figures) -> None:
    """Makes the figures the ceilings of their groups; other groups keep theirs."""
    PATH.write_text(json.dumps(read() | figures, indent=1, sort_keys=True) + "\n")


def compare(figures: Figures, ceilings: Figures) -> list[str]:
    """What has become worse: more of anything, or a lower occupancy."""
    problems = []
    for group, kernels in figures.items():
        known, where = ceilings.get(group, {}), f"sm_{group}" if group.isdigit() else group
        for name in sorted(kernels.keys() ^ known.keys()):
            side = "has no ceiling" if name in kernels else "has a ceiling but is not there"
            problems.append(f"{where} {name} {side} (--update writes them)")
        for name in sorted(kernels.keys() & known.keys()):
            for quantity, value in kernels[name].items():
                ceiling = known[name].get(quantity, 0)
                allowed = ceiling * SLACK.get(quantity, 1)
                worse = value < ceiling if quantity == "occupancy" else value > allowed
                if worse and quantity != "threads":
                    problems.append(f"{where} {name}: {quantity} {value:g}, ceiling {ceiling:g}")
    return problems
