"""How much of a scene's images survives in an exported file, and the record of it, `export.json`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from gsplat_core.metrics import psnr, ssim
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.strict_json import parse_json, write_json
from trainers.camera_paths import views_around
from trainers.evaluation import capped, mean, photograph, render
from trainers.waiting import counted

RECORD = "export.json"

ORBIT_VIEWS = 8
ORBIT_SIZE = (640, 480)


def compare_on_views(
    before: Gaussians,
    after: Gaussians,
    views: Sequence[View],
    background: str,
    camera: Callable[[View], Camera] = lambda view: view.camera,
) -> dict[str, Any]:
    """PSNR and SSIM of both scenes against photographs, averaged over the views, and what is lost.

    Args:
        camera: with which a view is rendered (`trainers.parts.results.AtTest.camera`).

    Returns:
        `views`, `psnr_before`, `psnr_after`, `loss_db`, `ssim_before`, `ssim_after`, `loss_ssim` (losses are
        positive where the file is worse), and `psnr_between`, the PSNR of one scene's images against the
        other's (None where all are equal).
    """
    scores: list[list[tuple[float, float]]] = []
    errors: list[float] = []
    for view in counted(views, "measuring the loss", len(views)):
        first, second = (render(scene, camera(view), background) for scene in (before, after))
        truth, mask = photograph(view, background, first.device)
        scores.append([(capped(psnr(i, truth, mask)), ssim(i, truth, mask=mask)) for i in (first, second)])
        errors.append(float((first - second).square().mean(dtype=torch.float64)))
    psnr_before, psnr_after = (mean(score[i][0] for score in scores) for i in (0, 1))
    ssim_before, ssim_after = (mean(score[i][1] for score in scores) for i in (0, 1))
    return {
        "views": len(scores),
        "psnr_before": psnr_before,
        "psnr_after": psnr_after,
        "loss_db": psnr_before - psnr_after,
        "ssim_before": ssim_before,
        "ssim_after": ssim_after,
        "loss_ssim": ssim_before - ssim_after,
        "psnr_between": _decibels(errors),
    }


def compare_on_orbit(before: Gaussians, after: Gaussians, cameras: Sequence[Camera]) -> dict[str, Any]:
    """The same without photographs: `views` and `psnr_between`."""
    errors = [
        float((render(before, camera) - render(after, camera)).square().mean(dtype=torch.float64))
        for camera in counted(cameras, "measuring the loss", len(cameras))
    ]
    return {"views": len(errors), "psnr_between": _decibels(errors)}


def in_words(
    before: Gaussians,
    after: Gaussians,
    dataset: Dataset | None,
    background: str,
    camera: Callable[[View], Camera] = lambda view: view.camera,
) -> str:
    """What became of the images of a changed scene: on the test views of photographs, or the training views
    where there are none, or on an orbit where there is no photograph."""
    if dataset is None:
        between = compare_on_orbit(before, after, views_around(before, ORBIT_VIEWS, ORBIT_SIZE))
        return f"{between['views']} views of an orbit: {_difference(between['psnr_between'])}"
    views, split = (dataset.test, "test") if dataset.test else (dataset.train, "training")
    facts = compare_on_views(before, after, views, background, camera)
    return (
        f"{facts['views']} {split} views: "
        f"{facts['psnr_before']:.2f} -> {facts['psnr_after']:.2f} dB, "
        f"SSIM {facts['ssim_before']:.4f} -> {facts['ssim_after']:.4f}"
    )


def _difference(psnr: float | None) -> str:
    return "its images are the same" if psnr is None else f"before and after differ by {psnr:.2f} dB"


def record(output: Path, facts: dict[str, Any]) -> Path:
    """Puts the facts of an export under its file's name into `export.json` beside it; returns that path."""
    path = output.parent / RECORD
    try:
        known = parse_json(path.read_bytes())
    except (OSError, ValueError):
        known = {}
    entries = known if isinstance(known, dict) else {}
    write_json(path, {**entries, output.name: facts})
    return path


def _decibels(errors: Sequence[float]) -> float | None:
    """PSNR of the mean squared error over all images; None for no error at all."""
    total = mean(errors)
    return -10 * math.log10(total) if total > 0 else None
