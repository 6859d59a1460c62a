"""What nvcc makes of the CUDA kernels: registers, spills, occupancy, instructions. Needs no GPU.

    python tools/cuda_report.py             the table
    python tools/cuda_report.py --check     and an error if a figure exceeds its ceiling
    python tools/cuda_report.py --update    write the present figures as ceilings

The ceilings are in ``tools/static_report/ceilings.json``. ``make cuda-report`` is ``--check`` of this report
and of ``kernel_report.py``; where the toolkit cannot be installed it says so and leaves it at that.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tyro

sys.path.insert(0, str(Path(__file__).resolve().parent))
from static_report import ceilings
from static_report.ceilings import Figures
from static_report.loops import blending_loop, count_instructions
from static_report.occupancy import MULTIPROCESSORS, occupancy
from static_report.toolkit import Kernel, ToolkitMissingError, compile_kernels, install, kernel_units

# Blocks smaller than the kernel's bound, at the default tile size.
LAUNCHED_WITH = dict.fromkeys(
    (
        "composite_tiles",
        "composite_tiles_backward",
        "composite_contributions",
        "composite_sightings",
        "composite_label_weights",
        "composite_tile_tangents",
        "composite_tile_moments",
        "composite_tiles_by_pixel",
        "composite_tiles_backward_by_pixel",
        "composite_contributions_by_pixel",
        "composite_sightings_by_pixel",
        "composite_label_weights_by_pixel",
    ),
    128,
)


def main(check: bool = False, update: bool = False) -> None:
    """Report on the CUDA kernels as compiled."""
    try:
        binaries = install()
    except ToolkitMissingError as error:
        print(f"SKIPPED: no report on the CUDA kernels, their compiler cannot be installed:\n{error}")
        return
    figures = measure(binaries)
    print_table(figures)
    if update:
        ceilings.write(figures)
    if check:
        problems = ceilings.compare(figures, ceilings.read())
        print("\n".join(problems) or "No figure exceeds its ceiling.")
        sys.exit(1 if problems else 0)


def measure(binaries: Path) -> Figures:
    jobs = [(unit, a) for unit in kernel_units("cuda", "cu") for a in MULTIPROCESSORS]
    figures: Figures = {architecture: {} for architecture in MULTIPROCESSORS}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = pool.map(lambda job: compile_kernels(*job, binaries), jobs)
        for (_, architecture), kernels in zip(jobs, compiled, strict=True):
            for kernel in kernels:
                figures[architecture][kernel.name] = describe(kernel, architecture)
    return figures


def describe(kernel: Kernel, architecture: str) -> dict[str, float]:
    threads = LAUNCHED_WITH.get(kernel.name.split("<")[0], kernel.most_threads)
    figures = {
        "registers": kernel.registers,
        "spilled bytes": kernel.spills,
        "shared bytes": kernel.shared,
        "threads": threads,
        "occupancy": round(occupancy(architecture, kernel.registers, kernel.shared, threads), 3),
        "instructions": count_instructions(kernel.listing),
    }
    loop = blending_loop(kernel.listing)
    if loop is not None:
        figures |= {
            "per visit": loop.visit,
            "per row": loop.row,
            "per 32 pairs": loop.per_32_pairs,
        }
    return figures


def print_table(figures: Figures) -> None:
    columns = ["registers", "spilled bytes", "shared bytes", "threads", "occupancy", "instructions"]
    columns += ["per visit", "per row", "per 32 pairs"]
    width = max(len(name) for kernels in figures.values() for name in kernels)
    for architecture, kernels in figures.items():
        print(f"\n{'sm_' + architecture:<{width}}  " + "  ".join(columns))
        for name, values in sorted(kernels.items()):
            cells = (f"{values[c]:>{len(c)}g}" if c in values else " " * len(c) for c in columns)
            print(f"{name:<{width}}  " + "  ".join(cells).rstrip())


if __name__ == "__main__":
    tyro.cli(main)
