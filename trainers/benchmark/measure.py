"""Time and memory of the rasterizer's stages on one synthetic scene."""

from __future__ import annotations

import contextlib
import ctypes
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gsplat_core.errors import UsageError
from gsplat_core.render.settings import USUAL
from trainers.benchmark.processes import in_fresh_process


@dataclass(frozen=True)
class Case:
    """What to measure. The defaults are the reference scene, which rates are quoted for."""

    gaussians: int = 150_000
    width: int = 960
    height: int = 540
    median_sigma: float = 1.5
    """Median size of the splats in pixels."""
    threads: int = 1
    isa: str = ""
    """Instruction set; empty for the best one."""
    repeats: int = 5
    """Times are medians of so many runs, after one more to warm up."""
    seed: int = 0
    channels: int = 3


class Seconds(NamedTuple):
    wall: float
    cpu: float
    """Processor time of all threads together."""


class Timings(NamedTuple):
    isa: str
    bin: Seconds
    forward: Seconds
    backward: Seconds
    memory_bytes: int | None


@dataclass(frozen=True)
class Measurement:
    """What was found. Times are medians.

    The rates count contributing pairs per second of processor time, so they say what one core does, and other
    programs on the machine disturb them less than wall times.
    """

    case: Case
    pairs: int
    intersections: int
    isa: str
    bin: Seconds
    forward: Seconds
    backward: Seconds
    memory_bytes: int | None
    """Peak memory on top of the splats: lists, images, gradients. None where the system does not tell."""

    @property
    def forward_rate(self) -> float:
        """Pairs per core-second."""
        return self.pairs / self.forward.cpu

    @property
    def backward_rate(self) -> float:
        """Pairs per core-second."""
        return self.pairs / self.backward.cpu


@cache
def measure(case: Case) -> Measurement:
    """Measures in a fresh process.

    The pairs are counted in this one, once for every scene. A case is measured once and remembered.

    Raises:
        UsageError: the instruction set is not available.
        ResourceError: the process was killed, most likely for want of memory.
    """
    what = f"{case.gaussians:,} Gaussians at {case.width}x{case.height}"
    timings = in_fresh_process(what, time_stages, case)
    pairs, intersections = count_scene(case.gaussians, case.width, case.height, case.median_sigma, case.seed)
    return Measurement(case, pairs, intersections, **timings._asdict())


@cache
def count_scene(gaussians: int, width: int, height: int, median_sigma: float, seed: int) -> tuple[int, int]:
    """Contributing pairs of the synthetic scene, and entries of its tile lists."""
    import torch

    from gsplat_core.ops import library  # noqa: F401  (registers the operators)
    from trainers.benchmark.pairs import count_pairs
    from trainers.benchmark.splats import random_splats

    s = random_splats(gaussians, width, height, median_sigma, seed)
    offsets, ids, *_ = torch.ops.gsplat_core.bin_splats(
        s.means2d, s.shapes, s.depths, s.opacities, s.radii, width, height, USUAL.numbers()
    )
    return count_pairs(s, offsets, ids, USUAL.tile_size, USUAL.max_alpha), ids.numel()


def time_stages(case: Case) -> Timings:
    """Measures in this process; changes its number of threads and its instruction set."""
    import torch

    from gsplat_core.ops.variants import GAUSSIAN, NO_CARRIERS
    from trainers.benchmark.splats import random_splats

    ops = torch.ops.gsplat_core
    torch.set_num_threads(case.threads)
    if case.isa:
        try:
            ops.set_isa(case.isa)
        except RuntimeError as error:
            raise UsageError(str(error).splitlines()[0]) from None
    s = random_splats(case.gaussians, case.width, case.height, case.median_sigma, case.seed, case.channels)
    generator = torch.Generator().manual_seed(case.seed)
    v_colors = torch.rand(1, case.height, case.width, case.channels, generator=generator)
    v_alphas = torch.zeros(1, case.height, case.width, 1)
    drawing = (case.width, case.height, USUAL.numbers())

    def run_bin() -> list[torch.Tensor]:
        return list(ops.bin_splats(s.means2d, s.shapes, s.depths, s.opacities, s.radii, *drawing))

    def run_forward() -> list[torch.Tensor]:
        shapes = (s.means2d, s.shapes, s.opacities, s.colors, None)
        return list(ops.composite(*shapes, *lists, *drawing, *GAUSSIAN, *NO_CARRIERS))[:2]

    def run_backward() -> list[torch.Tensor]:
        shapes = (s.means2d, s.shapes, s.opacities, s.colors, None)
        return list(ops.composite_backward(*shapes, *lists, *drawing, *GAUSSIAN, *image, v_colors, v_alphas))

    with PeakMemory() as memory:
        lists = run_bin()
        image = run_forward()
        run_backward()
    return Timings(
        isa=ops.isa(),
        bin=median_seconds(run_bin, case.repeats),
        forward=median_seconds(run_forward, case.repeats),
        backward=median_seconds(run_backward, case.repeats),
        memory_bytes=memory.grown_bytes,
    )


def median_seconds(work: Callable[[], object], repeats: int) -> Seconds:
    """Median times of `work`, after one run that does not count."""
    walls, cpus = [], []
    for _ in range(repeats + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Seconds(statistics.median(walls[1:]), statistics.median(cpus[1:]))


class PeakMemory:
    """By how much the memory of this process rose inside a `with` block, at its peak.

    `grown_bytes` is None where the system does not tell (it is asked for through Linux's /proc).
    """

    def __enter__(self) -> PeakMemory:
        self.grown_bytes: int | None = None
        with contextlib.suppress(OSError, AttributeError):
            # Free memory that the allocator keeps would hide growth.
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        self._before = resident_bytes("VmRSS")
        return self

    def __exit__(self, *exception: object) -> None:
        peak = resident_bytes("VmHWM")
        if peak is not None and self._before is not None:
            self.grown_bytes = max(0, peak - self._before)


def resident_bytes(field: str) -> int | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
