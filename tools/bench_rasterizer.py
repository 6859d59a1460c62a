"""Measures chosen cases of the rasterizer, for work on its kernels; `gsplat-core bench` is the users' survey.

    python tools/bench_rasterizer.py                                  the reference scene, one thread
    python tools/bench_rasterizer.py --isa avx512 avx2 generic        the instruction sets beside each other
    python tools/bench_rasterizer.py --gaussians 10000 500000 --threads 1 2
    python tools/bench_rasterizer.py --channels 3 4 8 16

Every combination is measured in a process of its own.
"""

from __future__ import annotations

import itertools
import json as jsonlib
import sys
from pathlib import Path

import tyro
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from trainers.benchmark.measure import Case, measure
from trainers.benchmark.table import as_json, rasterizer_table


def main(
    gaussians: tuple[int, ...] = (Case.gaussians,),
    sizes: tuple[str, ...] = (f"{Case.width}x{Case.height}",),
    median_sigma: float = Case.median_sigma,
    threads: tuple[int, ...] = (1,),
    isa: tuple[str, ...] = ("",),
    channels: tuple[int, ...] = (Case.channels,),
    repeats: int = Case.repeats,
    seed: int = 0,
    json: bool = False,
) -> None:
    """Measure the rasterizer's stages on synthetic scenes.

    Args:
        gaussians: numbers of Gaussians.
        sizes: image sizes, WIDTHxHEIGHT.
        median_sigma: median size of the splats in pixels.
        threads: numbers of threads.
        isa: instruction sets; without it the best one.
        channels: numbers of channels of the colours.
        repeats: every time is the median of so many runs.
        seed: of the scene.
        json: print one JSON object per line instead.
    """
    measured = []
    for n, size, count, name, c in itertools.product(gaussians, sizes, threads, isa, channels):
        width, height = map(int, size.split("x"))
        measured.append(measure(Case(n, width, height, median_sigma, count, name, repeats, seed, c)))
        if json:
            print(jsonlib.dumps(as_json(measured[-1])), flush=True)
    if not json:
        Console(highlight=False, width=140).print(rasterizer_table("The rasterizer", measured))


if __name__ == "__main__":
    tyro.cli(main)
