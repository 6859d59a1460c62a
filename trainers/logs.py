"""Logs of a training for other programs, beside `history.jsonl`, which every run has.

Each gets the numbers of every line of the history, under the line's step, and stays on this machine.
"""

from __future__ import annotations

import math
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gsplat_core.errors import UsageError
from trainers.observer import Observer

if TYPE_CHECKING:
    from gsplat_core.scene.dataset import Dataset
    from trainers.run_folder import RunFolder
    from trainers.trainer import Trainer


def numbers_of(entry: dict[str, Any]) -> dict[str, float]:
    """What a program can draw a curve of: the finite numbers of a line, by name, without its step."""
    return {
        name: float(value)
        for name, value in entry.items()
        if name != "step"
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    }


class TensorBoard(Observer):
    """Event files in the folder `tensorboard` of the run, which the program of that name shows."""

    def __init__(self) -> None:
        _required("tensorboard", "torch.utils.tensorboard")

    def started(self, trainer: Trainer, dataset: Dataset, run: RunFolder) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What an interrupted run logged after its checkpoint is done again.
        writer: Any = SummaryWriter
        self._writer = writer(str(run.path / "tensorboard"), purge_step=trainer.step + 1)

    def logged(self, entry: dict[str, Any]) -> None:
        if "event" in entry:
            self._writer.add_text("event", str(entry["event"]), entry["step"])
            return
        for name, value in numbers_of(entry).items():
            self._writer.add_scalar(name, value, entry["step"])

    def close(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.close()


class WeightsAndBiases(Observer):
    """An offline run in the folder `wandb` of the run; `wandb sync` uploads it, if somebody wants that."""

    def __init__(self) -> None:
        # Nothing is sent: neither the run nor reports of errors.
        os.environ["WANDB_MODE"] = "offline"
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        os.environ["WANDB_SILENT"] = "true"
        _required("wandb", "wandb")

    def started(self, trainer: Trainer, dataset: Dataset, run: RunFolder) -> None:
        import wandb

        settings: dict[str, Any] = {
            "console": "off",
            "disable_git": True,
            "save_code": False,
            "x_disable_stats": True,
        }
        self._run: Any = wandb.init(
            project="gsplat-core",
            name=run.path.resolve().name,
            dir=str(run.path),
            mode="offline",
            config=trainer.config.to_json(),
            settings=wandb.Settings(**settings),
        )

    def logged(self, entry: dict[str, Any]) -> None:
        if "event" not in entry:
            self._run.log(numbers_of(entry), step=entry["step"])

    def close(self) -> None:
        if hasattr(self, "_run"):
            self._run.finish()


class Nothing(Observer):
    """For `jsonl`: the history is written anyway."""


LOGS: dict[str, type[Observer]] = {"jsonl": Nothing, "tensorboard": TensorBoard, "wandb": WeightsAndBiases}


def _required(package: str, module: str) -> None:
    """
    Raises:
        UsageError: the package is not installed.
    """
    try:
        import_module(module)
    except ImportError as error:
        raise UsageError(f"--log {package} needs the package {package}: pip install {package}.") from error
