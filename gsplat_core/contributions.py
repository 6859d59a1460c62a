"""How much a scene's Gaussians show in given views: the basis of scores for pruning and compression.

Blending weights are those of the image, w = alpha T: a Gaussian that is faint, tiny, hidden or off every view
has small ones. Sums of them are the scores of LightGaussian (Fan et al. 2023) and Mini-Splatting (Fang and
Wang 2024), the largest is that of RadSplat (Niemeyer et al. 2024).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.primitive import splats_of
from gsplat_core.render.scene import Scene, measure
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians


@dataclass(frozen=True, eq=False)
class Contributions:
    """Per Gaussian, [N] each; zero for one that shows in no view.

    Attributes:
        weights: sum of its blending weights over all pixels of all views, float64.
        largest_weights_of_a_view: the largest of its sums over the pixels of one view, float32.
        largest_weight: its largest blending weight at any pixel, float32.
        pixels: in how many pixels, over all views, it was blended (alpha >= 1/255), int64.
        views: in how many views it was blended at all, int64.
    """

    weights: Tensor
    largest_weights_of_a_view: Tensor
    largest_weight: Tensor
    pixels: Tensor
    views: Tensor


@torch.no_grad()
def contributions(scene: Scene, cameras: Iterable[Camera], settings: RenderSettings = USUAL) -> Contributions:
    """Measures the contributions of all Gaussians to the given views, without rendering their colours. Where
    rows are drawn as several Gaussians, these count together, each pixel once for each of them.

    Args:
        scene, settings: as for :func:`gsplat_core.render.scene.render`.
        cameras: the views, one after the other; their images may differ in size.
    """
    if isinstance(scene, Gaussians):
        scene = scene.to(dtype=torch.float32)
    means = scene["means"] if isinstance(scene, Mapping) else scene.means
    zeros = means.new_zeros(means.shape[0])
    total = Contributions(
        weights=zeros.double(),
        largest_weights_of_a_view=zeros.clone(),
        largest_weight=zeros.clone(),
        pixels=zeros.long(),
        views=zeros.long(),
    )
    splats = splats_of(scene)
    for camera in cameras:
        measured, _ = measure(scene, camera, settings)
        each = measured[0].unflatten(0, (len(means), splats))
        weights, pixels, largest = each[..., 0].sum(1), each[..., 1].sum(1), each[..., 2].amax(1)
        total.weights.add_(weights)
        torch.maximum(total.largest_weights_of_a_view, weights, out=total.largest_weights_of_a_view)
        torch.maximum(total.largest_weight, largest, out=total.largest_weight)
        total.pixels.add_(pixels.long())
        total.views.add_(pixels > 0)
    return total
