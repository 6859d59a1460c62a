"""What a command gets when the user names a run folder or a splat file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gsplat_core.io
from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from trainers.checkpoint import newest_checkpoint
from trainers.config import TrainConfig, read_config
from trainers.results import TRAINING_COSTS
from trainers.run_folder import RunFolder


def is_run(path: Path) -> bool:
    return RunFolder(path).exists


def load_scene(path: Path, warn: Callable[[str], None]) -> Gaussians:
    """The Gaussians of a run (its result, or its newest checkpoint while it is not finished) or of a file.

    Raises:
        DataError: neither a run nor a readable splat file.
    """
    if not path.is_dir():
        return gsplat_core.io.load(path)
    run = RunFolder(path)
    if not run.exists:
        raise DataError(
            path, "this folder is not a run: it has no config.json", remedy="Name a run or a splat file."
        )
    if run.point_cloud.exists():
        return gsplat_core.io.load(run.point_cloud)
    checkpoint = newest_checkpoint(run.checkpoints, warn)
    if checkpoint is None:
        raise DataError(
            path, "this run has no result and no checkpoint yet", remedy="Wait for it or resume it."
        )
    warn(f"{path} is not finished: using the state after step {checkpoint.step}.")
    return Gaussians.from_state_dict(checkpoint.state["trainer"]["gaussians"])


def training_costs(run: RunFolder, warn: Callable[[str], None]) -> dict[str, Any]:
    """What the run has used: from its metrics.json or, while it is not finished, its newest checkpoint."""
    metrics = run.read_metrics()
    if not metrics and (checkpoint := newest_checkpoint(run.checkpoints, warn)):
        totals = checkpoint.state["totals"]
        return {
            "steps": checkpoint.step,
            "train_seconds": totals["train_seconds"],
            "train_cpu_seconds": totals["cpu_seconds"],
            "rollbacks": totals["rollbacks"],
        }
    return {name: metrics[name] for name in TRAINING_COSTS if name in metrics}


def load_photographs(config: TrainConfig, decode: bool = True) -> Dataset:
    """The dataset that a configuration names; without `decode`, images are read when they are asked for."""
    return Dataset.load(
        config.data,
        downscale=config.downscale,
        test_every=config.test_every,
        model=config.model,
        prefetch=decode,
    )


def run_config(path: Path) -> TrainConfig:
    return read_config(RunFolder(path).config)
