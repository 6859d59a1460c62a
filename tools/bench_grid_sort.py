"""How smooth a sorted grid becomes and how long that takes: `python tools/bench_grid_sort.py [--large]`.

Compares random colours on 128 x 128 cells sorted as published (Morgenstern et al. 2024: random order, first
blur of half the width, improvement 1e-4) with the order that the codec uses, which starts from a
space-filling curve. Then the codec's order for 65,536 vectors of 9 numbers and, with --large, for a million.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from gsplat_core.compress.plas import grid_shape, roughness, sorted_grid
from gsplat_core.ops.grid_sort import grid_sort


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)

    colours = torch.rand(128 * 128, 3, generator=generator) * 255
    print(f"128 x 128 random colours, roughness {roughness(colours.reshape(128, 128, 3)):.0f}")
    picture = colours.reshape(128, 128, 3)
    report("as published", lambda: grid_sort(picture, 0, 63.0)[0])
    report("from a curve", lambda: colours[sorted_grid(colours)].reshape(128, 128, 3))

    for count in (65_536, 1_000_000) if options.large else (65_536,):
        vectors = surface_like(count, generator)
        print(f"{count:,} vectors of 9, {torch.get_num_threads()} threads")
        report("from a curve", lambda vectors=vectors: in_grid(vectors, sorted_grid(vectors)))


def in_grid(vectors: Tensor, order: Tensor) -> Tensor:
    height, width = grid_shape(len(vectors))
    return vectors[order[: height * width]].reshape(height, width, -1)


def surface_like(count: int, generator: torch.Generator) -> Tensor:
    """Points on a bumpy sphere with smooth colours and noise, like positions, colours and sizes."""
    xyz = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    xyz = xyz * (1 + 0.2 * torch.sin(5 * xyz).prod(dim=1, keepdim=True))
    rest = torch.sin(3 * xyz @ torch.randn(3, 6, generator=generator))
    return torch.cat([xyz, rest + 0.5 * torch.randn(count, 6, generator=generator)], dim=1)


def report(name: str, sort: Callable[[], Tensor]) -> None:
    start, processor = time.perf_counter(), time.process_time()
    picture = sort()
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    told = f"{seconds:.1f} s ({processor:.1f} s of processor time)"
    print(f"  {name}: {told}, roughness {roughness(picture):.4g}", flush=True)


if __name__ == "__main__":
    main()
