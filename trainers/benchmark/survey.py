"""All measurements of `gsplat-core bench`: what to measure, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import gsplat_core
from trainers.benchmark.ceiling import Ceiling, measure_ceilings
from trainers.benchmark.growth import exponent
from trainers.benchmark.measure import Case, Measurement, count_scene, measure
from trainers.benchmark.memory import TrainingMemory, measure_memory
from trainers.benchmark.step import StepTimes, measure_step
from trainers.benchmark.table import as_json
from trainers.benchmark.work import work_of_step
from trainers.machine import cores, cpu_name

SIZES = ((480, 270), (960, 540), (1920, 1080))
MEDIAN_SIGMAS = (0.75, 1.5, 3.0)


@dataclass(frozen=True)
class Plan:
    """What to measure. Every series varies one thing of the reference."""

    reference: Case
    by_gaussians: Sequence[Case]
    by_pixels: Sequence[Case]
    by_footprint: Sequence[Case]
    by_threads: Sequence[Case]
    memory_gaussians: Sequence[int]

    @staticmethod
    def usual(gaussians: Sequence[int], repeats: int) -> Plan:
        reference = Case(repeats=repeats)
        return Plan(
            reference,
            by_gaussians=[replace(reference, gaussians=n) for n in gaussians],
            by_pixels=[replace(reference, width=width, height=height) for width, height in SIZES],
            by_footprint=[replace(reference, median_sigma=sigma) for sigma in MEDIAN_SIGMAS],
            by_threads=[replace(reference, threads=n) for n in thread_counts(cores())],
            memory_gaussians=(300_000, 1_000_000),
        )


@dataclass(frozen=True)
class Survey:
    """What was found."""

    ceilings: Sequence[Ceiling]
    steps: Sequence[StepTimes]
    """Of the reference scene, by number of threads."""
    pairs: int
    """Contributing pairs of the reference scene."""
    by_gaussians: Sequence[Measurement]
    by_pixels: Sequence[Measurement]
    by_footprint: Sequence[Measurement]
    by_threads: Sequence[Measurement]
    memory: Sequence[TrainingMemory]

    @property
    def ceiling(self) -> Ceiling:
        """Of one thread with the instruction set that the step was measured with."""
        return next(c for c in self.ceilings if c.isa == self.steps[0].isa and c.threads == 1)

    @property
    def training_bytes_per_gaussian(self) -> float | None:
        return slope([(m.gaussians, m.peak_bytes) for m in self.memory])

    def growth(self) -> dict[str, dict[str, float | None]]:
        """Exponents of the processor time of each stage with Gaussians, pixels and mean footprint."""

        def exponents(
            measured: Sequence[Measurement], size: Callable[[Measurement], float]
        ) -> dict[str, float | None]:
            return {
                stage: exponent([(size(m), getattr(m, stage).cpu) for m in measured])
                for stage in ("bin", "forward", "backward")
            }

        return {
            "gaussians": exponents(self.by_gaussians, lambda m: m.case.gaussians),
            "pixels": exponents(self.by_pixels, lambda m: m.case.width * m.case.height),
            "footprint": exponents(self.by_footprint, lambda m: m.pairs / m.case.gaussians),
        }

    def as_json(self) -> dict[str, Any]:
        """Everything, in seconds, bytes and operations per second."""
        first = self.steps[0]
        work = work_of_step(first, self.pairs)
        stages = {
            stage: {
                "seconds": seconds,
                "share": first.share(seconds),
                "flops": work[stage].flops if stage in work else None,
                "bytes": work[stage].bytes if stage in work else None,
            }
            for stage, seconds in first.stages.items()
        }
        return {
            "version": gsplat_core.__version__,
            "cpu": cpu_name(),
            "cores": cores(),
            "ceilings": [c._asdict() for c in self.ceilings],
            "step": {
                "case": asdict(first.case),
                "isa": first.isa,
                "visible": first.visible,
                "intersections": first.intersections,
                "pairs": self.pairs,
                "pairs_per_core_second": {
                    "forward": self.pairs / first.stages["composite"],
                    "backward": self.pairs / first.stages["composite, backward"],
                },
                "seconds": first.step.wall,
                "cpu_seconds": first.step.cpu,
                "overhead_seconds": first.overhead,
                "overhead_share": first.share(first.overhead),
                "stages": stages,
            },
            "step_by_threads": [
                {
                    "threads": s.case.threads,
                    "seconds": s.step.wall,
                    "cpu_seconds": s.step.cpu,
                    "speedup": first.step.wall / s.step.wall,
                }
                for s in self.steps
            ],
            "by_gaussians": [as_json(m) for m in self.by_gaussians],
            "by_pixels": [as_json(m) for m in self.by_pixels],
            "by_footprint": [as_json(m) for m in self.by_footprint],
            "by_threads": [as_json(m) for m in self.by_threads],
            "growth_exponents": self.growth(),
            "training_memory": [m._asdict() for m in self.memory],
            "training_bytes_per_gaussian": self.training_bytes_per_gaussian,
            "memory_per_gaussian": slope([(m.case.gaussians, m.memory_bytes) for m in self.by_gaussians]),
            "memory_per_pixel": slope(
                [(m.case.width * m.case.height, m.memory_bytes) for m in self.by_pixels]
            ),
        }


def run(plan: Plan, tell: Callable[[str], None]) -> Survey:
    """Carries out a plan; `tell` hears what is being measured now."""

    def series(title: str, cases: Sequence[Case]) -> list[Measurement]:
        measured = []
        for i, case in enumerate(cases):
            tell(f"{title}, {i + 1} of {len(cases)}")
            measured.append(measure(case))
        return measured

    tell("the machine's ceiling")
    r = plan.reference
    ceilings = measure_ceilings([case.threads for case in plan.by_threads], r.repeats)
    steps = []
    for case in plan.by_threads:
        tell(f"training steps, {case.threads} threads")
        steps.append(measure_step(case))
    memory = []
    for number in plan.memory_gaussians:
        tell(f"memory of training, {number:,} Gaussians")
        memory.append(measure_memory(number))
    return Survey(
        ceilings=ceilings,
        steps=steps,
        pairs=count_scene(r.gaussians, r.width, r.height, r.median_sigma, r.seed)[0],
        by_gaussians=series("growth with Gaussians", plan.by_gaussians),
        by_pixels=series("growth with pixels", plan.by_pixels),
        by_footprint=series("growth with footprint", plan.by_footprint),
        by_threads=series("growth with threads", plan.by_threads),
        memory=memory,
    )


def thread_counts(most: int) -> list[int]:
    """1, 2, 4, ... and the number of cores itself."""
    return sorted({*(2**i for i in range(most.bit_length()) if 2**i <= most), most})


def slope(points: Sequence[tuple[int, int | None]]) -> float | None:
    """Rise per step from the smallest to the largest; None with fewer than two sizes or an unknown value."""
    if not points:
        return None
    (x0, y0), (x1, y1) = min(points), max(points)
    return None if x0 == x1 or y0 is None or y1 is None else (y1 - y0) / (x1 - x0)
