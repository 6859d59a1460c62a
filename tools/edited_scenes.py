"""How well edits of a region work, where the truth is known: a scene of three objects before a wall, the same
scene edited, and images of it that disagree, as those of an image editor do.

    python tools/edited_scenes.py [--seeds 5 6 7] [--steps 1000]

prints for each seed, with anchors and without: PSNR inside the region against the clean edited scene, and
outside against the original, both from cameras in between; and how far the object of the region wandered that
is not edited. One thread.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gsplat_core.anchors import AnchorConfig
from gsplat_core.apps.edit import EditConfig, EditTrainer
from gsplat_core.labels import LABEL
from gsplat_core.metrics import psnr
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import look_at
from trainers.edit_report import INSIDE, OUTSIDE, share_of
from trainers.evaluation import mean
from trainers.evaluation import render as shown

FOCUS, UP = np.array([0.0, 0.0, 0.3]), np.array([0.0, -1.0, 0.0])
EDITED, NEIGHBOUR, OTHER, WALL = 1, 2, 3, 0
MOVE = 0.1
PLACES = {EDITED: (-0.35, 0.0, 0.1), NEIGHBOUR: (0.35, 0.1, 0.0), OTHER: (0.0, -0.35, 0.4)}
COLOURS = {EDITED: (0.8, 0.3, 0.2), NEIGHBOUR: (0.2, 0.4, 0.8), OTHER: (0.3, 0.7, 0.3), WALL: (0.6, 0.6, 0.5)}


@dataclass(frozen=True)
class Edit:
    """Before and after, and where they are seen from."""

    before: Gaussians
    after: Gaussians
    cameras: list[Camera]
    held_out: list[Camera]
    targets: list[Tensor]

    @property
    def region(self) -> Tensor:
        """bool [N]: the object that is edited and its neighbour, which is not."""
        labels = self.before.extras[LABEL]
        return (labels == EDITED) | (labels == NEIGHBOUR)

    @property
    def neighbour(self) -> Tensor:
        return self.before.extras[LABEL] == NEIGHBOUR


def edit(seed: int = 0, each: int = 60, side: int = 48, noise: float = 0.1, views: int = 16) -> Edit:
    """One object becomes green and moves by 0.1; every target has a colour cast of its own.

    Args:
        each: Gaussians of an object.
        side: of the images, pixels.
        noise: standard deviation of the casts, per channel.
    """
    random = torch.Generator().manual_seed(seed)
    before = _scene(random, each)
    edited = before.extras[LABEL] == EDITED
    after = replace(
        before,
        means=before.means + MOVE * torch.tensor([-1.0, 0.0, 0.0]) * edited[:, None],
        sh0=torch.where(edited[:, None, None], before.sh0[:, :, [1, 0, 2]], before.sh0),
    )
    cameras = _cameras(views, side)
    held_out = _cameras(views, side, 0.5)[::4]
    targets = []
    for camera in cameras:
        clean = render(after, camera).colors[0]
        cast = noise * torch.randn(3, generator=random)
        targets.append((clean + cast).clamp(0, 1))
    return Edit(before, after, cameras, held_out, targets)


def _scene(random: torch.Generator, each: int) -> Gaussians:
    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    means, colours, labels, sizes = [], [], [], []
    for label, place in PLACES.items():
        means.append(torch.tensor(place) + 0.1 * normal(each, 3))
        colours.append(torch.tensor(COLOURS[label]) + 0.1 * normal(each, 3))
        labels += [label] * each
        sizes.append(torch.full((each,), 0.04))
    x, y = torch.meshgrid(torch.linspace(-1.2, 1.2, 9), torch.linspace(-1.2, 1.2, 9), indexing="ij")
    means.append(torch.stack([x.flatten(), y.flatten(), torch.full((81,), 1.0)], -1))
    colours.append(torch.tensor(COLOURS[WALL]) + 0.15 * normal(81, 3))
    labels += [WALL] * 81
    sizes.append(torch.full((81,), 0.18))
    size = torch.cat(sizes)
    num = len(size)
    return Gaussians(
        means=torch.cat(means),
        quats=normal(num, 4),
        scales=size.log()[:, None] + 0.2 * normal(num, 3),
        opacities=torch.full((num,), 2.0),
        sh0=((torch.cat(colours) - 0.5) / 0.28209479177387814)[:, None, :],
        shN=torch.zeros(num, 3, 3),
        extras={LABEL: torch.tensor(labels, dtype=torch.int32)},
    )


def _cameras(count: int, side: int, shift: float = 0.0) -> list[Camera]:
    """On an arc before the wall, up and down."""
    K = torch.tensor([[1.1 * side, 0, side / 2], [0, 1.1 * side, side / 2], [0, 0, 1]]).double().numpy()
    cameras = []
    for number in range(count):
        turn = (number + shift) / count
        angle = 1.6 * (turn - 0.5)
        eye = (2.5 * math.sin(angle), 0.8 * math.cos(7 * math.pi * turn), -2.5 * math.cos(angle))
        cameras.append(Camera(look_at(np.array(eye), FOCUS, UP), K, side, side, f"{number}"))
    return cameras


@dataclass(frozen=True)
class Outcome:
    """Of an edit, over the cameras that it was not made with."""

    inside: float
    """PSNR in dB where the region is, before or after, against the clean edited scene."""
    outside: float
    """PSNR where the region is neither, against the original."""
    wandered: float
    """Root mean square of the displacements of the neighbour's Gaussians, but for those that multiplied."""


def outcome(edit: Edit, config: EditConfig, anchors: AnchorConfig | None) -> Outcome:
    """Edits the region towards the targets."""
    trainer = EditTrainer(
        numbered(edit.before),
        edit.region,
        edit.cameras,
        lambda view, image: edit.targets[view],
        anchors,
        config=config,
    )
    return measured(edit, trainer.run())


def numbered(scene: Gaussians) -> Gaussians:
    return replace(scene, extras={**scene.extras, "number": torch.arange(scene.num)})


@torch.no_grad()
def measured(edit: Edit, scene: Gaussians) -> Outcome:
    """Of a scene whose field `number` says which row of the original each one was."""
    inside, outside = [], []
    for camera in edit.held_out:
        shares = [share_of(known, edit.region, camera) for known in (edit.before, edit.after)]
        share = torch.maximum(*shares)
        image = shown(scene, camera)
        inside.append(psnr(image, shown(edit.after, camera), share >= INSIDE))
        outside.append(psnr(image, shown(edit.before, camera), share < OUTSIDE))
    number = scene.extras["number"]
    alone = torch.bincount(number, minlength=edit.before.num)[number] == 1
    rows = alone & (scene.extras[LABEL] == NEIGHBOUR)
    moved = scene.means[rows] - edit.before.means[number[rows]]
    return Outcome(mean(inside), mean(outside), float(moved.square().sum(1).mean().sqrt()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[5, 6, 7])
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in options.seeds:
        example = edit(seed)
        config = EditConfig(steps=options.steps, seed=seed)
        unedited = measured(example, numbered(example.before))
        held, free = (outcome(example, config, anchors) for anchors in (AnchorConfig(), None))
        print(
            f"seed {seed}: inside {unedited.inside:.2f} dB before; anchors {held.inside:.2f} dB, outside "
            f"{held.outside:.1f}, wandered {held.wandered:.4f}; without {free.inside:.2f} dB, outside "
            f"{free.outside:.1f}, wandered {free.wandered:.4f}, {free.wandered / held.wandered:.1f} times",
            flush=True,
        )


if __name__ == "__main__":
    main()
