"""How much memory training takes per Gaussian."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache
from typing import NamedTuple

from gsplat_core.allocation import keep_freed_memory
from trainers.benchmark.measure import PeakMemory, resident_bytes
from trainers.benchmark.processes import in_fresh_process
from trainers.benchmark.step import resting_config

# A small image, so that little but the Gaussians counts.
WIDTH, HEIGHT = 480, 270
STEPS = 3


class TrainingMemory(NamedTuple):
    gaussians: int
    width: int
    height: int
    base_bytes: int | None
    """Of the process before it had a scene: Python, PyTorch, our library."""
    state_bytes: int | None
    """On top: parameters and the optimizer's moments, after a step."""
    peak_bytes: int | None
    """On top of the base, at the peak of a step: also gradients, splats, lists and images."""


@cache
def measure_memory(gaussians: int, width: int = WIDTH, height: int = HEIGHT) -> TrainingMemory:
    """Trains in a fresh process. None where the system does not tell.

    Splats get smaller as their number grows, as in real scenes: their total area stays the same.
    """
    what = f"the memory of training {gaussians:,} Gaussians at {width}x{height}"
    return in_fresh_process(what, train_and_look, gaussians, width, height)


def train_and_look(gaussians: int, width: int, height: int) -> TrainingMemory:
    import torch

    from gsplat_core.scene.scale import SceneScale
    from trainers.benchmark.scene import training_scene
    from trainers.trainer import Trainer

    keep_freed_memory()
    torch.set_num_threads(1)
    # The first use of everything, so that what it allocates once and for all is part of the base.
    trainer = Trainer(resting_config(), training_scene(100, 64, 64)[0], SceneScale.of_extent(1.0))
    trainer.advance(training_scene(100, 64, 64)[1])
    base = _settled()
    sigma = 1.5 * (150_000 / gaussians * width * height / (960 * 540)) ** 0.5
    scene, target = training_scene(gaussians, width, height, sigma)
    trainer = Trainer(resting_config(), scene, SceneScale.of_extent(1.0))
    del scene
    trainer.advance(target)
    state = _settled()
    with PeakMemory() as memory:
        for _ in range(STEPS):
            trainer.advance(target)
    if base is None or state is None or memory.grown_bytes is None:
        return TrainingMemory(gaussians, width, height, None, None, None)
    return TrainingMemory(gaussians, width, height, base, state - base, state - base + memory.grown_bytes)


def _settled() -> int | None:
    """Resident memory after free memory went back to the system."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes("VmRSS")
