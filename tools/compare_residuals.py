"""Measures a sequence that `gsplat-core stream --residual` wrote, of the room of `tools/make_sequence.py`.

    python tools/compare_residuals.py FRAMES STREAM [--alone FOLDER] [--views test]

FRAMES has the photographs; FOLDER has runs called as the frames that were trained each for itself, perhaps
not of all frames. Printed for each frame, as it is read from its file:

- PSNR of the test view, or, with --views train, of the training views, and that of the frame by itself;
- the bytes of its file, in all and as a share of those of the first frame;
- of the Gaussians of the frame before that its training views showed: how many were moved, how many truly
  move, which lie in a ball that moves or next to its surface, and how many of these were moved.

Then the means over all frames but the first, and the slope of PSNR over the frames in dB per frame.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from make_sequence import time_of
from moving_balls import scene as room

from gsplat_core.compress.container import Container
from gsplat_core.compress.residual import NAME, read
from gsplat_core.contributions import contributions
from gsplat_core.io import load
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from trainers.evaluation import evaluate, mean

MARGIN = 0.03
"""Scene units: what is nearer to the surface of a ball than this is of the ball."""
SHOWN = 1.0
"""Pixels, over all views: the sum of the weights of a Gaussian that counts as shown."""


def moved(file: Path, before: Gaussians) -> torch.Tensor | None:
    """[N] bool: which Gaussians of the frame before a file moves; None of a whole one."""
    container = Container.from_bytes(file.read_bytes(), file)
    if container.codec != NAME:
        return None
    residual = read(container, before)
    left = torch.ones(before.num, dtype=torch.bool)
    left[residual.removed] = False
    found = torch.zeros(before.num, dtype=torch.bool)
    found[left] = (residual.shifts[: int(left.sum())] != 0).any(dim=1)
    return found


def shares(
    found: torch.Tensor, before: Gaussians, dataset: Dataset, time: float
) -> tuple[float, float, float]:
    """Of the Gaussians that are shown: what was moved, what moves, and how much of this was moved."""
    shown = contributions(before, [view.camera for view in dataset.train]).weights >= SHOWN
    moving = torch.from_numpy(room.moves(before.means.numpy(), time, MARGIN))[shown]
    caught = found[shown]
    return float(caught.float().mean()), float(moving.float().mean()), float(caught[moving].float().mean())


def quality(scene: Gaussians, dataset: Dataset, split: str) -> float:
    """PSNR of the views of a split."""
    return mean(scored.psnr for scored in evaluate(scene, getattr(dataset, split)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("stream", type=Path)
    parser.add_argument("--alone", type=Path)
    parser.add_argument("--views", choices=("test", "train"), default="test")
    given = parser.parse_args()
    names = json.loads((given.stream / "stream.json").read_text())["frames"]
    rows: list[list[float]] = []
    before = None
    print(
        f"{'':10} {'PSNR':>6} {'alone':>6} {'bytes':>8} {'share':>7} {'moved':>6} {'moving':>6} {'caught':>6}"
    )
    for number, name in enumerate(names):
        file = given.stream / name / "point_cloud.gsz"
        if not file.exists():
            break
        dataset = Dataset.load(given.frames, images=given.frames / name)
        scene, size = load(file), file.stat().st_size
        alone = given.alone / name / "point_cloud.ply" if given.alone else None
        reference = quality(load(alone), dataset, given.views) if alone and alone.exists() else np.nan
        found = None if before is None else moved(file, before)
        three = (np.nan,) * 3
        if before is not None and found is not None:
            three = shares(found, before, dataset, time_of(number - 1, len(names)))
        first = rows[0][2] if rows else size
        rows.append([quality(scene, dataset, given.views), reference, size, size / first, *three])
        print(f"{name:10}", *_texts(rows[-1]), flush=True)
        before = scene
    table = np.array(rows)
    print(f"{'mean':10}", *_texts(np.nanmean(table[1:], axis=0)))
    slope = np.polyfit(np.arange(len(table)), table[:, 0], 1)[0]
    gaps = table[:, 0] - table[:, 1]
    print(
        f"slope {slope:+.3f} dB per frame; least gain over frames by themselves {np.nanmin(gaps[1:]):+.2f} dB"
    )


def _texts(row: np.ndarray | list[float]) -> list[str]:
    kinds = ("6.2f", "6.2f", "8.0f", "7.1%", "6.3f", "6.3f", "6.3f")
    return [f"{value:{kind}}" for value, kind in zip(row, kinds, strict=True)]


if __name__ == "__main__":
    main()
