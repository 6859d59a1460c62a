"""Trains scenes with several models and the same number of Gaussians, and measures their test views.

    python tools/compare_models.py SCENE [SCENE ...] [-o runs/models] [--models gaussian 6dgs ndg]
        [--steps 3000] [--max-gaussians 4000] [--seeds 0 1] [--report] [--picture PICTURE.png]
        [--train-options "--downscale 2"] [--time]

tools/make_glossy_scene.py makes a scene whose look depends on where one stands. Each run is a folder; what
was trained before is not trained again: stop and start at will. One thread, and its processor time. --time
lets all scenes of a table take further training steps in turns, and prints the medians of their times.
"""

from __future__ import annotations

import argparse
import itertools
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from interleaved import median_seconds
from PIL import Image

from gsplat_core.scene.gaussians import Gaussians
from trainers.checkpoint import read_checkpoint
from trainers.cli import main as gsplat_core_main
from trainers.evaluation import evaluate, mean
from trainers.results import test_background
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, load_scene, run_config
from trainers.trainer import Trainer
from trainers.views import Target

ROUNDS = 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", nargs="+", type=Path, metavar="SCENE")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/models"))
    parser.add_argument("--models", nargs="+", default=["gaussian", "6dgs", "ndg"])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--max-gaussians", type=int, default=4000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--train-options", default="", help="further options of every training")
    parser.add_argument("--report", action="store_true", help="only what is there already")
    parser.add_argument("--time", action="store_true", help="steps in turns, of the first seed")
    parser.add_argument("--picture", type=Path, help="test views of the last scene, first seed, side by side")
    args = parser.parse_args()
    torch.set_num_threads(1)

    # Seeds outside, so that a table of all models is there early.
    for seed, scene, model in itertools.product(args.seeds, args.scenes, args.models):
        run = _run(args.output, scene, model, seed)
        if not args.report and not run.metrics.exists():
            print(f"{scene.name}, {model}, seed {seed}", file=sys.stderr, flush=True)
            options = {
                "-o": run.path, "--preset": "tiny", "--steps": args.steps, "--seed": seed, "--model": model,
                "--max-gaussians": args.max_gaussians, "--device": "cpu",
            }  # fmt: skip
            words = [str(word) for option in options.items() for word in option]
            words += [*shlex.split(args.train_options), "--overwrite"]
            if gsplat_core_main(["train", str(scene), *words]) != 0:
                raise SystemExit(f"{run.path} was not trained")
    for scene in args.scenes:
        print(_table(args.output, scene, args.models, args.seeds))
        if args.time:
            runs = {model: _run(args.output, scene, model, args.seeds[0]) for model in args.models}
            print(_times({model: run for model, run in runs.items() if run.metrics.exists()}))
    if args.picture:
        runs = [_run(args.output, args.scenes[-1], model, args.seeds[0]) for model in args.models]
        _picture([run for run in runs if run.metrics.exists()]).save(args.picture)


def _run(output: Path, scene: Path, model: str, seed: int) -> RunFolder:
    return RunFolder(output / scene.resolve().name / f"{model}_seed{seed}")


def _table(output: Path, scene: Path, models: list[str], seeds: list[int]) -> str:
    lines = [
        f"{scene.resolve().name}, mean of the seeds that are there; gain over {models[0]} of the same seed\n",
        "| model | seeds | PSNR | SSIM | gain in dB, seed by seed | Gaussians | core-seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    found = {
        (model, seed): run.read_metrics()
        for model, seed in itertools.product(models, seeds)
        if (run := _run(output, scene, model, seed)).metrics.exists()
    }
    for model in models:
        there = [seed for seed in seeds if (model, seed) in found]
        if not there:
            continue
        rows = [found[model, seed] for seed in there]
        gains = [
            f"{found[model, seed]['psnr'] - found[models[0], seed]['psnr']:+.2f}"
            for seed in there
            if (models[0], seed) in found
        ]
        lines.append(
            f"| {model} | {len(there)} | {mean(row['psnr'] for row in rows):.2f} "
            f"| {mean(row['ssim'] for row in rows):.3f} | {' '.join(gains)} "
            f"| {mean(row['num_gaussians'] for row in rows):,.0f} "
            f"| {mean(row['train_cpu_seconds'] for row in rows):.0f} |"
        )
    return "\n".join(lines) + "\n"


def _times(runs: dict[str, RunFolder]) -> str:
    """The time of a training step of each scene, and its ratio to that of the first."""
    times = median_seconds({model: _stepping(run) for model, run in runs.items()}, ROUNDS, threads=1)
    first = next(iter(times.values()))
    return "".join(
        f"{model}: {1e3 * seconds:.2f} ms per step, {seconds / first:.3f} of the first\n"
        for model, seconds in times.items()
    )


def _stepping(run: RunFolder) -> Callable[[], object]:
    """Takes a training step of the trained scene, each from the next photograph."""
    config = replace(run_config(run.path), reorder_every=0)
    dataset = load_photographs(config)
    newest = max(run.checkpoints.glob("*.json"), key=lambda path: path.stat().st_mtime)
    state = read_checkpoint(newest).state["trainer"]["gaussians"]
    trainer = Trainer(config, Gaussians.from_state_dict(state), dataset.scale)
    trainer.step = max(config.steps - ROUNDS, 0)  # with all harmonics, and without density control
    targets = itertools.cycle(Target.of(v, trainer.device, i) for i, v in enumerate(dataset.train))
    return lambda: trainer.advance(next(targets))


def _picture(runs: list[RunFolder]) -> Image.Image:
    """Three test views from top to bottom, and from left to right the photograph and what runs make of it."""
    columns: list[list[np.ndarray]] = []
    for run in runs:
        config = run_config(run.path)
        scene = load_scene(run.path, lambda text: None).detached()
        views = load_photographs(config).test
        scored = list(evaluate(scene, views[:: max(len(views) // 3, 1)][:3], test_background(config)))
        if not columns:
            columns.append([view.truth.numpy() for view in scored])
        columns.append([view.render.numpy() for view in scored])
    sheet = np.concatenate([np.concatenate(column) for column in columns], axis=1)
    return Image.fromarray((255 * sheet).round().astype(np.uint8))


if __name__ == "__main__":
    main()
