"""What the machine can do at most, by which kernels are judged (roofline model, Williams et al. 2009)."""

from __future__ import annotations

from typing import NamedTuple

from trainers.benchmark.measure import median_seconds
from trainers.benchmark.processes import in_fresh_process

TRIAD_NUMBERS = 1 << 24  # 64 MiB per array: far more than any cache
ROUNDS = 2_000_000


class Ceiling(NamedTuple):
    isa: str
    threads: int
    flops_per_second: float
    """Of independent multiply-adds on registers; one is two operations."""
    bytes_per_second: float
    """Of a triad out = a + 3 b on arrays in memory; 12 bytes per element (what a cache fetches before it is
    overwritten is not counted)."""


def measure_ceilings(threads: list[int], repeats: int) -> list[Ceiling]:
    """For every instruction set with one thread, and for the best one with more."""
    return in_fresh_process("the machine's ceiling", time_ceilings, threads, repeats)


def time_ceilings(threads: list[int], repeats: int) -> list[Ceiling]:
    """Measures in this process; changes its number of threads and its instruction set."""
    import torch

    from gsplat_core.ops import library  # noqa: F401  (registers the operators)

    ops = torch.ops.gsplat_core
    a, b, out = (torch.rand(TRIAD_NUMBERS) for _ in range(3))
    isas = ops.available_isas().split()

    def one(isa: str, count: int) -> Ceiling:
        ops.set_isa(isa)
        torch.set_num_threads(count)
        operations = ops.multiply_adds(ROUNDS)
        arithmetic = median_seconds(lambda: ops.multiply_adds(ROUNDS), repeats)
        streaming = median_seconds(lambda: ops.triad(a, b, out), repeats)
        # Of one thread, processor time does not count what other programs took meanwhile.
        seconds = [t.cpu if count == 1 else t.wall for t in (arithmetic, streaming)]
        return Ceiling(isa, count, operations / seconds[0], 12 * TRIAD_NUMBERS / seconds[1])

    return [one(isa, 1) for isa in isas] + [one(isas[-1], count) for count in threads if count > 1]
