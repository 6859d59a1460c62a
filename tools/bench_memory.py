"""Measures the memory of training: by default a million Gaussians at 1920x1080.

    python tools/bench_memory.py [--gaussians 1000000] [--size 1920x1080]

Trains a few steps on a synthetic scene in a process of its own and prints what was resident.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tyro

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from gsplat_core.allocation import use_large_pages
from trainers.benchmark.memory import measure_memory


def main(gaussians: tuple[int, ...] = (1_000_000,), size: str = "1920x1080") -> None:
    """Measure the memory of training.

    Args:
        gaussians: numbers of Gaussians.
        size: of the image, WIDTHxHEIGHT.
    """
    use_large_pages()
    width, height = map(int, size.split("x"))
    print("Gaussians  base [MiB]  state [B/Gaussian]  peak [B/Gaussian]  whole process [MiB]")
    for number in gaussians:
        m = measure_memory(number, width, height)
        if m.base_bytes is None or m.state_bytes is None or m.peak_bytes is None:
            raise SystemExit("This system does not tell how much memory a process uses.")
        print(
            f"{number:9,}{m.base_bytes / 2**20:12.0f}{m.state_bytes / number:20.0f}"
            f"{m.peak_bytes / number:19.0f}{(m.base_bytes + m.peak_bytes) / 2**20:21.0f}"
        )


if __name__ == "__main__":
    tyro.cli(main)
