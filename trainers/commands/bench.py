"""`gsplat-core bench`"""

from __future__ import annotations

import json as jsonlib
from typing import Any

import gsplat_core
from trainers.machine import cores, cpu_name

SIZES = ((480, 270), (960, 540), (1920, 1080))


def bench(
    gaussians: tuple[int, ...] = (10_000, 100_000, 500_000),
    repeats: int = 5,
    json: bool = False,
) -> None:
    """Measure this machine: how fast the rasterizer is and how time and memory grow.

    The scenes are synthetic, the same everywhere. "Pairs" are pairs of a pixel and a Gaussian that contribute
    to the image; rates in pairs per second of processor time compare across scenes and machines.

    Args:
        gaussians: numbers of Gaussians to measure at 960x540.
        repeats: every time is the median of so many runs.
        json: print JSON for scripts instead.
    """
    from trainers.benchmark.measure import Case, Measurement, measure
    from trainers.benchmark.table import HEADER, as_json, row

    def say(text: str) -> None:
        if not json:
            print(text, flush=True)

    def series(title: str, cases: list[Case]) -> list[Measurement]:
        say(f"\n{title}\n{HEADER}")
        measured = []
        for case in cases:
            measured.append(measure(case))
            say(row(measured[-1]))
        return measured

    say(f"gsplat-core {gsplat_core.__version__} on {cpu_name()}, {cores()} cores")
    reference = Case(repeats=repeats)
    by_gaussians = series(
        "Growth with the number of Gaussians", [Case(gaussians=n, repeats=repeats) for n in gaussians]
    )
    by_pixels = series(
        f"Growth with the number of pixels, {reference.gaussians:,} Gaussians",
        [Case(width=width, height=height, repeats=repeats) for width, height in SIZES],
    )
    by_threads = series(
        "Growth with the number of threads",
        [Case(threads=n, repeats=repeats) for n in thread_counts(cores())],
    )
    facts: dict[str, Any] = {
        "version": gsplat_core.__version__,
        "cpu": cpu_name(),
        "cores": cores(),
        "by_gaussians": [as_json(m) for m in by_gaussians],
        "by_pixels": [as_json(m) for m in by_pixels],
        "by_threads": [as_json(m) for m in by_threads],
        "memory_per_gaussian": slope([(m.case.gaussians, m.memory_bytes) for m in by_gaussians]),
        "memory_per_pixel": slope([(m.case.width * m.case.height, m.memory_bytes) for m in by_pixels]),
    }
    if json:
        print(jsonlib.dumps(facts, indent=2))
        return
    say("")
    for name in ("gaussian", "pixel"):
        if facts[f"memory_per_{name}"] is not None:
            say(f"Memory on top of the scene grows by {facts[f'memory_per_{name}']:.0f} bytes per {name}.")
    first, last = by_threads[0], by_threads[-1]
    if last.case.threads > 1:
        forward, backward = first.forward.wall / last.forward.wall, first.backward.wall / last.backward.wall
        say(f"{last.case.threads} threads: {forward:.2f} times the speed forward, {backward:.2f} backward.")


def thread_counts(most: int) -> list[int]:
    """1, 2, 4, ... and the number of cores itself."""
    return sorted({*(2**i for i in range(most.bit_length()) if 2**i <= most), most})


def slope(points: list[tuple[int, int | None]]) -> float | None:
    """Rise per step from the smallest to the largest; None with fewer than two sizes or an unknown value."""
    (x0, y0), (x1, y1) = min(points), max(points)
    return None if x0 == x1 or y0 is None or y1 is None else (y1 - y0) / (x1 - x0)
