"""How near an edit came to the pictures it was to look like, inside of its region and outside."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gsplat_core.losses import as_float
from gsplat_core.metrics import psnr
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.scene import evaluated
from gsplat_core.render.scene import render as render_scene
from gsplat_core.render.settings import USUAL
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from trainers.evaluation import capped, mean, render
from trainers.waiting import counted

PLACES = ("inside", "outside")
INSIDE = 0.5
"""A pixel is inside where the region makes up at least this share of it ..."""
OUTSIDE = 0.01
"""... and outside where it makes up less than this."""


@torch.no_grad()
def share_of(scene: Gaussians, region: Tensor, camera: Camera) -> Tensor:
    """[H, W] which share of each pixel the Gaussians of a region [N] make up."""
    shown = evaluated(scene, Cameras.of(camera, scene.device))._replace(
        colors=region[:, None].to(scene.means.dtype), head=None
    )
    return render_scene(shown, camera, USUAL.as_trained(scene.metadata)).colors[0, ..., 0]


def measure(
    before: Gaussians,
    after: Gaussians,
    region: Tensor,
    views: Sequence[View],
    targets: Sequence[Tensor],
    background: str,
    camera_of: Callable[[View], Camera] = lambda view: view.camera,
) -> dict[str, float | None]:
    """PSNR against the pictures, as means over the views: `inside_before`, `inside_after`, `outside_before`
    and `outside_after`; None where there is no such pixel in any of them.

    Args:
        region: bool [N], of the scene before.
        targets: [H, W, 3] uint8 for each view.
        camera_of: with which a view is rendered (`trainers.parts.results.AtTest.camera`).
    """
    scores: dict[str, list[float]] = {
        f"{where}_{when}": [] for where in PLACES for when in ("before", "after")
    }
    for view, target in counted(list(zip(views, targets, strict=True)), "measuring", len(views)):
        camera = camera_of(view)
        share = share_of(before, region, camera)
        truth, mask = as_float(target).to(share.device), view.mask()
        images = {
            "before": render(before, camera, background),
            "after": render(after, camera, background),
        }
        for where, pixels in (("inside", share >= INSIDE), ("outside", share < OUTSIDE)):
            counted_pixels = pixels if mask is None else pixels & mask.to(pixels.device)
            for when, image in images.items():
                scores[f"{where}_{when}"].append(psnr(image, truth, counted_pixels))
    return {name: _mean(values) for name, values in scores.items()}


def _mean(values: Sequence[float]) -> float | None:
    """Of views that have such pixels."""
    known = [capped(value) for value in values if not math.isnan(value)]
    return mean(known) if known else None
