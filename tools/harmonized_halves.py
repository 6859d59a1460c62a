"""What harmonizing makes of a cast: `python tools/harmonized_halves.py SCENE.ply`.

A scene is cut in two along each axis. The second half gets its channels times 1.3, 1.0 and 0.7, everywhere
or more and more along another axis, and is harmonized with the first (`gsplat_core/apps/harmonize.py`).
Prints how far it is from what it was before the cast, and what its edges have become, seen from cameras that
the training did not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import tyro
from torch import Tensor
from tyro.conf import Positional

from gsplat_core.apps.boundary import find_boundary
from gsplat_core.apps.harmonize import USUAL, Config, cameras_around, harmonize, sobel
from gsplat_core.io import load
from gsplat_core.outliers import extent
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import render
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import rgb_of, sh0_of

GAINS = (1.3, 1.0, 0.7)
_SIZE = 2.5  # of a scene in radii of its extent


def with_cast(scene: Gaussians, strength: Tensor | float = 1.0) -> Gaussians:
    """Colours times the gains to the power of the strength, a number or one for each Gaussian [N, 1, 1]."""
    gains = torch.tensor(GAINS) ** strength
    colors = {"sh0": sh0_of(gains * rgb_of(scene.sh0)), "shN": gains * scene.shN}
    return scene.with_fields({**scene.params, **colors})


def hue_distance(a: Gaussians, b: Gaussians, cameras: Sequence[Cameras]) -> float:
    """The mean angle between the hues of opaque pixels, weighted by how much of a hue there is."""
    angle, weight = 0.0, 0.0
    for (first, alphas), (second, _) in zip(_images(a, cameras), _images(b, cameras), strict=True):
        one, other = _hues(first), _hues(second)
        least = torch.where(alphas > 0.95, torch.minimum(one.abs(), other.abs()), 0.0)
        angle += float(((one * other.conj()).angle().abs() * least).sum())
        weight += float(least.sum())
    return angle / max(weight, 1e-12)


def edge_correlation(a: Gaussians, b: Gaussians, cameras: Sequence[Cameras]) -> float:
    """Of the strength of edges (Sobel) of the images."""
    strengths = []
    for scene in (a, b):
        edges = [sobel(image.mean(-1, keepdim=True)).norm(dim=0) for image, _ in _images(scene, cameras)]
        strengths.append(torch.cat([strength.flatten() for strength in edges]))
    return float(torch.corrcoef(torch.stack(strengths))[0, 1])


def image_distance(a: Gaussians, b: Gaussians, cameras: Sequence[Cameras]) -> float:
    """The root of the mean squared difference of the images."""
    pairs = zip(_images(a, cameras), _images(b, cameras), strict=True)
    squares = [float((first - second).square().mean()) for (first, _), (second, _) in pairs]
    return math.sqrt(sum(squares) / len(squares))


def seam_distance(source: Gaussians, target: Gaussians, size: float) -> float:
    """How far the mean constant colours of both sides of the seam are apart."""
    seam = find_boundary(source, target, 0.05 * size, 0.95, 8, max(8, target.num // 100))
    theirs = rgb_of(source.sh0[seam.neighbours, 0]).mean((0, 1))
    return float((theirs - rgb_of(target.sh0[seam.rows, 0]).mean(0)).norm())


def _hues(image: Tensor) -> Tensor:
    red, green, blue = image.unbind(-1)
    return torch.complex(red - (green + blue) / 2, math.sqrt(0.75) * (green - blue))


@torch.no_grad()
def _images(scene: Gaussians, cameras: Sequence[Cameras]) -> list[tuple[Tensor, Tensor]]:
    drawn = [render(scene, camera) for camera in cameras]
    return [(one.colors[0], one.alphas[0, ..., 0]) for one in drawn]


def main(scene: Positional[Path], config: Config = USUAL) -> None:
    """Print two tables.

    Args:
        scene: a splat file.
        config: of harmonizing.
    """
    torch.set_num_threads(1)
    whole = load(scene)
    place = extent(whole)
    size = _SIZE * place.radius
    cameras = cameras_around(place.middle, size, 8, 128, seed=99)
    for name in ("the same everywhere", "growing along the seam"):
        print(f"A cast that is {name}")
        print(f"{'cut':>4}{'':22}{'seam':>8}{'hue':>8}{'image':>8}{'edges':>8}")
        for axis in range(3):
            along = whole.means[:, axis]
            first = along < along.median()
            source, truth = whole.subset(first), whole.subset(~first)
            across = truth.means[:, (axis + 1) % 3].argsort().argsort()
            strength = 2 * across[:, None, None] / truth.num if name.startswith("growing") else 1.0
            before = with_cast(truth, strength)
            for what, after in {
                "with the cast": before,
                "the cast taken off": harmonize(source, before, replace(config, steps=0)).target,
                "harmonized": harmonize(source, before, config).target,
            }.items():
                figures = [
                    seam_distance(source, after, size),
                    hue_distance(after, truth, cameras),
                    image_distance(after, truth, cameras),
                    edge_correlation(after, before, cameras),
                ]
                print(f"{'xyz'[axis]:>4}  {what:20}" + "".join(f"{figure:8.3f}" for figure in figures))


if __name__ == "__main__":
    tyro.cli(main)
