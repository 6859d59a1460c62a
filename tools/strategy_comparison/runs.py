"""One training run with a clock of core-seconds, and how many steps fit into a budget."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from gsplat_core.io.atomic import write_text
from gsplat_core.scene.dataset import Dataset
from strategy_comparison.entries import Entry
from trainers.background import with_background
from trainers.config import TrainConfig
from trainers.dilation import Dilation
from trainers.evaluation import evaluate, mean
from trainers.machine import cpu_name
from trainers.results import test_background
from trainers.session import rendered_views, resolution
from trainers.sources import load_photographs
from trainers.start import initial_gaussians
from trainers.trainer import Trainer
from trainers.views import Feed

_PILOT_STEPS = 1000
_EVALUATIONS = 20
_DATASETS: dict[tuple[str, int], Dataset] = {}


def result_path(folder: Path, scene: Path, entry: Entry, seed: int) -> Path:
    return folder / scene.name / f"{entry.name.replace(', ', '_').replace(' ', '-')}_seed{seed}.json"


def run(folder: Path, scene: Path, entry: Entry, seed: int, seconds: float, downscale: int, cap: int) -> None:
    """Trains once and writes the result."""
    path = result_path(folder, scene, entry, seed)
    budget = seconds * entry.share
    steps = _steps(folder, scene, entry, budget, downscale, cap)
    config = entry.config(scene, steps, downscale, cap, seed)
    result = {
        "entry": entry.name,
        "scene": scene.name,
        "seed": seed,
        "budget": budget,
        "cap": cap,
        "downscale": downscale,
        "cpu": cpu_name(),
        "threads": torch.get_num_threads(),
        **_train(config, _EVALUATIONS),
        "config": config.to_json(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(result) + "\n")


def _steps(folder: Path, scene: Path, entry: Entry, budget: float, downscale: int, cap: int) -> int:
    """How many steps take that many core-seconds, from a pilot run with the same schedule in fewer steps."""
    path = folder / scene.name / "seconds_per_step.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    key = f"{entry.preset} {entry.strategy} {' '.join(entry.settings)}"
    if key not in known:
        pilot = _train(entry.config(scene, _PILOT_STEPS, downscale, cap, 0), 0)
        known[key] = pilot["seconds"] / _PILOT_STEPS
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(known, indent=1) + "\n")
    return round(budget / known[key])


def _train(config: TrainConfig, evaluations: int) -> dict[str, Any]:
    """Trains to the end. Seconds are of processor time in training steps, photographs loaded before."""
    key = (config.data, config.downscale)
    dataset = _DATASETS[key] = _DATASETS.get(key) or load_photographs(config)
    for view in [*dataset.train, *dataset.test]:
        view.image()
    config = with_background(config, dataset)
    gaussians = initial_gaussians(config, dataset)
    trainer = Trainer(config, gaussians, dataset.scale, rendered_views(config, dataset))
    every = max(config.steps // evaluations, 1) if evaluations else config.steps + 1
    curve = []
    seconds, before = 0.0, time.process_time()
    factor_at = resolution(config, dataset)
    with closing(Feed(dataset.train, config.seed, trainer.device, factor_at, Dilation(config))) as feed:
        while trainer.step < config.steps:
            trainer.advance(feed(trainer.step + 1))
            if trainer.step % every == 0 or (evaluations and trainer.step == config.steps):
                seconds += time.process_time() - before
                psnr, ssim, worst = _scores(trainer, dataset)
                curve.append([seconds, psnr, ssim, trainer.num_gaussians, worst])
                before = time.process_time()
    seconds += time.process_time() - before
    return {"steps": config.steps, "seconds": seconds, "curve": curve}


def _scores(trainer: Trainer, dataset: Dataset) -> tuple[float, float, float]:
    """PSNR and SSIM of the test views, and the SSIM of the worst of them."""
    config = trainer.config
    gaussians = trainer.gaussians.detached()
    scored = list(evaluate(gaussians, dataset.test, test_background(config)))
    return (
        mean(view.psnr for view in scored),
        mean(view.ssim for view in scored),
        min(view.ssim for view in scored),
    )
