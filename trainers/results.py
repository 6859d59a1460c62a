"""What a run leaves behind once its scene is there: test renders, metrics.json, report.html."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

import gsplat_core
from gsplat_core.errors import ResourceError
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.strict_json import write_json
from trainers.config import TrainConfig
from trainers.coordinates import share_coordinates
from trainers.evaluation import PROTOCOL, PROTOCOL_OF_HALVES, Scored, evaluate, mean
from trainers.machine import cores, cpu_name
from trainers.media import png_names, save_png
from trainers.messages import warn
from trainers.parts.fitting import HalfFitted
from trainers.parts.part import Picture
from trainers.parts.parts import Parts
from trainers.parts.results import AtTest, read_part_results, settled
from trainers.report import write_report
from trainers.run_folder import RunFolder
from trainers.visibility import complaint
from trainers.waiting import counted


def write_results(
    run: RunFolder,
    config: TrainConfig,
    dataset: Dataset,
    gaussians: Gaussians,
    costs: dict[str, Any],
    drawn: Callable[[Gaussians, View, str], Picture] | None = None,
) -> dict[str, Any]:
    """Renders and measures the test views and writes everything that depends on them.

    Without test views (`--test-every 0`) the training views are measured, and `split` says so.

    Args:
        costs: those of `TrainingCosts` that are known.
        drawn: see `measure`.

    Returns:
        the content of metrics.json.

    Raises:
        ResourceError: metrics.json or report.html cannot be written. A picture that cannot is told.
    """
    names = [view.name for view in dataset.test or dataset.train]
    files = dict(zip(names, png_names(names), strict=True))
    parts = settled(config, dataset.train, read_part_results(run.parts), gaussians.device)

    def keep(view: Scored) -> None:
        try:
            save_png(run.test / files[view.name], view.render, below=run.path)
        except ResourceError as error:
            warn(f"the picture of a test view is missing: {error}")

    metrics, scored = measure(config, dataset, gaussians, parts, keep, drawn)
    metrics |= costs
    if derived := run.read_derived():
        metrics["derived"] = derived
    write_json(run.metrics, metrics)
    write_report(run, config, metrics, scored)
    return metrics


def measure(
    config: TrainConfig,
    dataset: Dataset,
    gaussians: Gaussians,
    parts: Parts | None = None,
    each: Callable[[Scored], None] = lambda view: None,
    drawn: Callable[[Gaussians, View, str], Picture] | None = None,
) -> tuple[dict[str, Any], list[Scored]]:
    """Renders and measures the test views, or the training views where there are none. Warns of views that
    show nothing of the scene.

    Args:
        parts: of the finished training, where it had any that are asked about images.
        each: called with every view once it is measured.
        drawn: what makes the picture of a view (`trainers.evaluation.evaluate`), where not the parts do.

    Returns:
        what metrics.json says about them, and the views.
    """
    share_coordinates(dataset, gaussians)
    split, views = ("test", dataset.test) if dataset.test else ("train", dataset.train)
    scored = []
    parts = Parts({}) if parts is None else parts
    compared, fitted = drawn or AtTest(parts, dataset.train), HalfFitted(parts, dataset.train)
    shown = counted(views, "measuring", len(views))
    for result in evaluate(gaussians, shown, test_background(config), compared, fitted):
        each(result)
        scored.append(result)
    empty = [result.name for result in scored if result.empty]
    if text := complaint(empty, len(scored), split):
        warn(text)
    metrics = {
        **summarize(scored),
        "num_gaussians": gaussians.num,
        "split": split,
        "device": describe_device(gaussians.device),
        "version": gsplat_core.__version__,
        "torch": torch.__version__,
        "machine": f"{cpu_name()}, {cores()} cores",
        "protocol": PROTOCOL,
    }
    if "half_psnr" in metrics:
        metrics["protocol"] = PROTOCOL | PROTOCOL_OF_HALVES
    if any(gaussians.metadata.offset):
        metrics["offset"] = list(gaussians.metadata.offset)
    return metrics, scored


def summarize(scored: Iterable[Scored]) -> dict[str, Any]:
    """Mean and per-image scores, in the order of the views, and the smallest SSIM. Those of halves are over
    the views that have them."""
    per_image = [result.summary() for result in scored]
    halves = [entry for entry in per_image if "half_psnr" in entry]
    of_halves = {key: mean(entry[key] for entry in halves) for key in ("half_psnr", "half_ssim") if halves}
    return {
        "psnr": mean(entry["psnr"] for entry in per_image),
        "ssim": mean(entry["ssim"] for entry in per_image),
        "cc_psnr": mean(entry["cc_psnr"] for entry in per_image),
        "worst_ssim": min(entry["ssim"] for entry in per_image),
        **of_halves,
        "per_image": per_image,
    }


def test_background(config: TrainConfig) -> str:
    return "white" if config.background == "white" else "black"


def describe_device(device: torch.device) -> str:
    """`cpu` or `cuda` with the card's name."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type
