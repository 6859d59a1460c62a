"""What a training step costs that sees every d-th pixel of photographs of 4 megapixels, next to one that sees
all: ratios of processor time on one thread, steps in turns.

    .venv/bin/python tools/bench_dilation.py [RUN|FILE] [--data DATA]

The scene is that of a run or splat file; without one, that of the sample scene's 3D points. Its photographs
are enlarged: of their content, the time of a step does not depend.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from interleaved import median_seconds

from trainers.config import TrainConfig
from trainers.dilation import Lattice
from trainers.sources import load_photographs, load_scene
from trainers.start import initial_gaussians
from trainers.trainer import Trainer
from trainers.views import Target

ROOT = Path(__file__).resolve().parent.parent
PIXELS = 4_000_000


def enlarged(target: Target) -> Target:
    """The photograph with `PIXELS` pixels, each of its own several times."""
    factor = round((PIXELS / (target.width * target.height)) ** 0.5)
    image = target.image.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    K = target.K.clone()
    K[:, :2] *= factor
    return replace(target, image=image, K=K, height=image.shape[0], width=image.shape[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scene", nargs="?", type=Path, help="a run folder or a splat file")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="the capture of the scene")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    torch.set_num_threads(1)
    config = TrainConfig(data=str(options.data), device="cpu", sh_degree_every=0, reorder_every=0)
    dataset = load_photographs(config)
    scene = load_scene(options.scene, print) if options.scene else initial_gaussians(config, dataset)
    trainer = Trainer(config, scene, dataset.scale)
    whole = enlarged(Target.of(dataset.train[0], trainer.device))
    seen = {every: Lattice(every).of(whole) for every in (1, 2, 3, 4)}
    for target in seen.values():
        trainer.advance(target)
    seconds = median_seconds(
        {str(every): partial(trainer.advance, target) for every, target in seen.items()},
        options.rounds,
        threads=1,
    )
    print(f"{whole.width} x {whole.height}, {trainer.num_gaussians:,} Gaussians; steps on all pixels take")
    for every in seen:
        print(f"  {seconds[str(1)] / seconds[str(every)]:5.2f} times as long as on every {every}.")


if __name__ == "__main__":
    main()
