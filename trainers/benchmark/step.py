"""Where the time of a whole training step goes."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from gsplat_core.allocation import keep_freed_memory
from trainers.benchmark.measure import Case, Seconds
from trainers.benchmark.processes import in_fresh_process

# What each operator does in a step. Both passes of an operator belong to the same stage.
STAGES = {
    "activate": "activations",
    "activate_backward": "activations",
    "project": "project",
    "project_backward": "project, backward",
    "spherical_harmonics": "spherical harmonics",
    "spherical_harmonics_backward_adam_": "spherical harmonics, backward and Adam",
    "bin_splats": "bin",
    "composite": "composite",
    "composite_backward": "composite, backward",
    "l1_ssim": "loss and its gradient",
    "adam_step_": "Adam of the other parameters",
}


@dataclass(frozen=True)
class StepTimes:
    """A training step of the case's scene. Times are medians over its repeats.

    `stages` holds the processor time inside our operators, which other programs on the machine disturb less
    than wall time; what is left of `step.cpu` is Python, autograd and PyTorch's own operators.
    """

    case: Case
    isa: str
    step: Seconds
    stages: dict[str, float]
    visible: int
    intersections: int

    @property
    def overhead(self) -> float:
        """Seconds per step outside our operators."""
        return self.step.cpu - sum(self.stages.values())

    def share(self, seconds: float) -> float:
        return seconds / self.step.cpu


@cache
def measure_step(case: Case) -> StepTimes:
    """Trains on the case's scene in a fresh process. A case is measured once and remembered."""
    what = f"a training step on {case.gaussians:,} Gaussians at {case.width}x{case.height}"
    return in_fresh_process(what, time_steps, case)


def time_steps(case: Case) -> StepTimes:
    """Measures in this process; changes its number of threads and its instruction set.

    Steps whose operators are timed one by one alternate with steps that run freely, because looking at each
    operator slows down what lies between them.
    """
    import torch

    from gsplat_core.ops import library  # noqa: F401  (registers the operators)
    from gsplat_core.scene.scale import SceneScale
    from trainers.benchmark.scene import training_scene
    from trainers.trainer import Trainer

    keep_freed_memory()
    torch.set_num_threads(case.threads)
    if case.isa:
        torch.ops.gsplat_core.set_isa(case.isa)
    gaussians, target = training_scene(case.gaussians, case.width, case.height, case.median_sigma, case.seed)
    trainer = Trainer(resting_config(), gaussians, SceneScale.of_extent(1.0))
    del gaussians
    for _ in range(2):
        trainer.advance(target)
    walls, cpus = [], []
    stages: dict[str, list[float]] = defaultdict(list)
    counts: dict[str, int] = {}
    for _ in range(case.repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        trainer.advance(target)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        with _operator_times() as times:
            trainer.advance(target)
        for stage, seconds in times.seconds.items():
            stages[stage].append(seconds)
        counts = times.counts
    return StepTimes(
        case=case,
        isa=torch.ops.gsplat_core.isa(),
        step=Seconds(statistics.median(walls), statistics.median(cpus)),
        stages={stage: statistics.median(stages[stage]) for stage in dict.fromkeys(STAGES.values())},
        **counts,
    )


def resting_config() -> Any:
    """A training run whose parameters hardly move and whose density control only watches, so that every
    step has the same work to do."""
    from trainers.config import LearningRates, TrainConfig

    names = ("means", "means_final", "sh0", "shN", "opacities", "scales", "quats")
    rates = replace(LearningRates(), **dict.fromkeys(names, 1e-12))  # type: ignore[arg-type]
    return TrainConfig(device="cpu", sh_degree_every=0, learning_rates=rates)


def _operator_times() -> Any:
    """A context in which the processor time of our operators is summed up by stage."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class OperatorTimes(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.seconds: dict[str, float] = defaultdict(float)
            self.counts: dict[str, int] = {}

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.namespace != "gsplat_core":
                return func(*args, **(kwargs or {}))
            start = time.process_time()
            result = func(*args, **(kwargs or {}))
            name = func.overloadpacket.__name__
            self.seconds[STAGES[name]] += time.process_time() - start
            if name == "bin_splats":
                self.counts = {"visible": result[2].numel(), "intersections": result[1].numel()}
            return result

    return OperatorTimes()
