"""Importance pruning: the Gaussians that the training views show least are left out before coding.

The score is the sum of a Gaussian's blending weights over all pixels of all views, as in Mini-Splatting (Fang
and Wang 2024) and EAGLES (Girish et al. 2024), times its largest weight at any pixel (RadSplat, Niemeyer et
al. 2024): the sum alone throws out small Gaussians that are all there is at their place.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from gsplat_core.contributions import contributions
from gsplat_core.render.scene import Scene
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera


def importance(scene: Scene, cameras: Iterable[Camera], settings: RenderSettings = USUAL) -> Tensor:
    """How much the views show of every Gaussian: [N] float32, not negative."""
    shown = contributions(scene, cameras, settings)
    return shown.weights.float() * shown.largest_weight


def most_important(scores: Tensor, count: int) -> Tensor:
    """The rows of the `count` largest scores, in ascending order; of equal scores the first."""
    ranked = scores.sort(descending=True, stable=True).indices[:count]
    return ranked.sort().values


def least_important(scores: Tensor, count: int) -> Tensor:
    """The rows of all but the `count` largest scores, in ascending order."""
    drop = torch.ones(len(scores), dtype=torch.bool)
    drop[most_important(scores, count)] = False
    return drop.nonzero().squeeze(1)
