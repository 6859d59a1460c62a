"""Trains scenes with each way of drawing what is smaller than a pixel, and measures them from the distance of
the photographs, from farther away and from nearer.

    python tools/compare_antialiasing.py SCENE [SCENE ...] [-o runs/antialiasing] [--steps 3000]
        [--downscale 4] [--seeds 0 1] [--only mip --only analytic] [--report] [--crops CROPS.png]

All train on photographs shrunk by `--downscale`, and are measured on those that are shrunk further (1/2, 1/4
and 1/8 as large) and less (2 and 4 times as large). Each run is a folder; what was trained and measured
before is not done again: stop and start at will. One thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from gsplat_core.io.atomic import write_text
from gsplat_core.scene.gaussians import Gaussians
from trainers.cli import main as gsplat_core_main
from trainers.config import ANTIALIASINGS
from trainers.evaluation import evaluate, mean, photograph, render
from trainers.results import test_background
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, load_scene, run_config

SCALES = tuple(Fraction(scale) for scale in ("1/8", "1/4", "1/2", "1", "2", "4"))
"""Sizes of images, as multiples of those that were trained on."""

CROP = 64
"""Side of a crop in pixels of the training's size."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", nargs="+", type=Path, metavar="SCENE")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/antialiasing"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--downscale", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", action="append", choices=list(ANTIALIASINGS))
    parser.add_argument("--report", action="store_true", help="only what is there already")
    parser.add_argument("--crops", type=Path, help="pictures of a test view of the last scene, first seed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    names = args.only or list(ANTIALIASINGS)

    # Seeds outside, so that a table of all ways is there early.
    for seed, scene, name in itertools.product(args.seeds, args.scenes, names):
        folder = _folder(args.output, scene, name, seed)
        if not args.report and not (folder / "scales.json").exists():
            print(f"{scene.name}, {name}, seed {seed}", file=sys.stderr, flush=True)
            if not RunFolder(folder).metrics.exists():
                _train(folder, scene, name, seed, args.steps, args.downscale)
            write_text(folder / "scales.json", json.dumps(_measured(folder)) + "\n")
    for scene in args.scenes:
        print(_table(args.output, scene, names, args.seeds))
    if args.crops:
        folders = {name: _folder(args.output, args.scenes[-1], name, args.seeds[0]) for name in names}
        _crops(folders).save(args.crops)


def _folder(output: Path, scene: Path, name: str, seed: int) -> Path:
    return output / scene.resolve().name / f"{name}_seed{seed}"


def _train(folder: Path, scene: Path, name: str, seed: int, steps: int, downscale: int) -> None:
    options = {
        "-o": folder, "--preset": "tiny", "--steps": steps, "--downscale": downscale, "--seed": seed,
        "--antialiasing": name, "--device": "cpu",
    }  # fmt: skip
    words = [str(word) for option in options.items() for word in option]
    if gsplat_core_main(["train", str(scene), *words, "--overwrite"]) != 0:
        raise SystemExit(f"{folder} was not trained")


def _measured(folder: Path) -> dict[str, Any]:
    """PSNR and SSIM of the test views by scale, and how large the scene is and how long its training took."""
    scene, metrics = _scene(folder), RunFolder(folder).read_metrics()
    config = run_config(folder)
    scores: dict[str, Any] = {}
    for scale in SCALES:
        views = _views(folder, scale)
        scored = list(evaluate(scene, views, test_background(config))) if views else []
        if scored:
            scores[str(scale)] = [mean(s.psnr for s in scored), mean(s.ssim for s in scored)]
    return {
        "scores": scores,
        "num_gaussians": scene.num,
        "seconds": metrics["train_cpu_seconds"],
    }


def _scene(folder: Path) -> Gaussians:
    return load_scene(folder, lambda text: None).detached()


def _views(folder: Path, scale: Fraction) -> list[Any]:
    """The test views on images of another size; none where the photographs are not as large."""
    config = run_config(folder)
    factor = Fraction(config.downscale) / scale
    if factor.denominator != 1:
        return []
    return list(load_photographs(replace(config, downscale=int(factor)), decode=False).test)


def _table(output: Path, scene: Path, names: list[str], seeds: list[int]) -> str:
    head = "".join(f" {scale} |" for scale in SCALES)
    lines = [
        f"{scene.resolve().name}, PSNR [dB] and SSIM, mean of the seeds that are there\n",
        f"| |{head} Gaussians | core-seconds |",
        "|---|" + "---|" * (len(SCALES) + 2),
    ]
    for name in names:
        paths = [_folder(output, scene, name, seed) / "scales.json" for seed in seeds]
        runs = [json.loads(path.read_text()) for path in paths if path.exists()]
        if not runs:
            continue
        cells = []
        for scale in map(str, SCALES):
            both = [run["scores"][scale] for run in runs if scale in run["scores"]]
            cells.append(f"{mean(p for p, _ in both):.2f} {mean(s for _, s in both):.3f}" if both else "")
        count, seconds = (mean(run[key] for run in runs) for key in ("num_gaussians", "seconds"))
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {count:,.0f} | {seconds:.0f} |")
    return "\n".join(lines) + "\n"


def _crops(folders: dict[str, Path]) -> Image.Image:
    """A row per scale: the middle of the first test view, as photographed and as each run draws it."""
    rows = []
    for scale in (Fraction("1/4"), Fraction(1), Fraction(4)):
        cells = []
        for folder in folders.values():
            view = _views(folder, scale)[0]
            background = test_background(run_config(folder))
            if not cells:
                cells.append(_enlarged(photograph(view, background, torch.device("cpu"))[0], scale))
            with torch.no_grad():
                cells.append(_enlarged(render(_scene(folder), view.camera, background), scale))
        rows.append(torch.cat(cells, dim=1))
    pixels = (torch.cat(rows, dim=0).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.numpy())


def _enlarged(image: Tensor, scale: Fraction) -> Tensor:
    """[4 CROP, 4 CROP, 3] the middle of an image; where it is smaller than that, each pixel is a square."""
    side = min(*image.shape[:2], int(CROP * max(scale, 1)))
    top, left = ((size - side) // 2 for size in image.shape[:2])
    middle = image[top : top + side, left : left + side].permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(middle, (4 * CROP, 4 * CROP), mode="nearest")[0].permute(1, 2, 0)


if __name__ == "__main__":
    main()
