"""A reconstruction from a scan to its results."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.tomography.backprojection import fdk
from gsplat_core.tomography.field import DensityField
from gsplat_core.tomography.scan import Scan
from gsplat_core.tomography.scanner import Scanner
from trainers.ct import intensities, radiative
from trainers.ct.config import IntensityConfig, RadiativeConfig
from trainers.ct.measuring import projection_metrics, volume_metrics
from trainers.ct.results import Outcome

LOGGED = 100
"""About so many entries of the history, each the mean of the steps before it."""


class _History:
    """What is told of each step, averaged."""

    def __init__(self, steps: int) -> None:
        self.every = max(steps // LOGGED, 1)
        self.steps = steps
        self.entries: list[dict[str, float]] = []
        self._losses: list[float] = []

    def add(self, step: int, loss: float, num: int) -> bool:
        """Whether that made an entry."""
        self._losses.append(loss)
        if step % self.every and step != self.steps:
            return False
        mean = sum(self._losses) / len(self._losses)
        self.entries.append({"step": step, "loss": mean, "num_gaussians": num})
        self._losses = []
        return True


def reconstructed(
    scan: Scan, config: RadiativeConfig | IntensityConfig, device: torch.device, told: radiative.Told
) -> Outcome:
    """Fits, predicts the test projections, makes the volume, and measures them.

    Args:
        told: called now and then with the step, the loss, and the number of Gaussians.

    Raises:
        UsageError: the projections show nothing in the volume.
    """
    normal, scale = scan.in_unit_box()
    history = _History(config.steps)

    def noted(step: int, loss: float, num: int) -> None:
        if history.add(step, loss, num):
            told(step, history.entries[-1]["loss"], num)

    if float(normal.train.integrals.max()) <= 0:
        raise UsageError("The projections show nothing: no line integral is positive.")
    start, cpu = time.monotonic(), time.process_time()
    if isinstance(config, RadiativeConfig):
        try:
            field = radiative.fitted(normal, config, device, noted)
        except ValueError as error:
            raise UsageError(
                f"The projections show nothing in the volume: {error}. Check its place."
            ) from None
        costs = _costs(start, cpu)
        outcome = _of_field(scan, normal, field, scale)
    else:
        scene = intensities.fitted(normal, config, device, noted)
        costs = _costs(start, cpu)
        with torch.no_grad():
            images = _each(normal.test.scanner, lambda one: intensities.blended(scene.params, one)[0])
        outcome = Outcome(scene.to("cpu"), images * float(scan.train.integrals.max()), None, None, {})
    metrics: dict[str, Any] = {
        "method": "r2" if isinstance(config, RadiativeConfig) else "xgaussian",
        "num_gaussians": len(outcome.scene.means),
        "steps": config.steps,
        "train_views": scan.train.scanner.num,
        "test_views": scan.test.scanner.num,
        "device": str(device),
        **costs,
        **(projection_metrics(outcome.projections, scan.test.integrals) if scan.test.scanner.num else {}),
        **outcome.metrics,
    }
    return dataclasses.replace(outcome, metrics=metrics, history=history.entries)


def _of_field(scan: Scan, normal: Scan, field: DensityField, scale: float) -> Outcome:
    with torch.no_grad():
        images = _each(normal.test.scanner, field.projections)
        volume = field.volume(normal.scanner.grid).cpu()
    backprojected = fdk(normal.train.scanner, normal.train.integrals).clamp(min=0)
    metrics = {}
    if scan.truth is not None:
        theirs = volume_metrics(backprojected, scan.truth)
        metrics = {**volume_metrics(volume, scan.truth), **{f"fdk_{key}": theirs[key] for key in theirs}}
    placed = DensityField(*(tensor.cpu() for tensor in field.moved(scale, scan.scanner.grid.centre)))
    return Outcome(placed, images / scale, volume, backprojected, metrics)


def _each(scanner: Scanner, predicted: Any) -> Tensor:
    """[C, H, W], one projection at a time."""
    images = [predicted(scanner.selected(torch.tensor([view])))[0].cpu() for view in range(scanner.num)]
    return torch.stack(images) if images else torch.zeros(0, scanner.height, scanner.width)


def _costs(start: float, cpu: float) -> dict[str, float]:
    return {"train_seconds": time.monotonic() - start, "train_cpu_seconds": time.process_time() - cpu}
