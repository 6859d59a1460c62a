"""The losses of 2D Gaussian Splatting (Huang et al. 2024) by which surfels lie in surfaces: the normals that
a pixel shows are those of the surface that its depths describe, and what it shows lies at one depth.
Gaussians of any kind can be trained with them; of other than flat ones the normal is the shortest axis,
and depths are those of the centres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.densify.strategy import Wants
from gsplat_core.ranges import NOT_NEGATIVE, SHARE, check_ranges
from gsplat_core.render.surfaces import DISTORTION_FAR, DISTORTION_NEAR, distortion, normals_of_depths
from gsplat_core.scene.dataset import View
from gsplat_core.scene.scale import PUBLISHED_LENGTH
from trainers.parts.part import Part, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class SurfacesConfig:
    """Args:
        normal: weight of 1 - N . A N_d: N the blended normals, N_d those of the depths, A how much of the
            background is covered.
        normal_from: share of the run after which it counts (step 7,000 of 30,000).
        distortion: weight of the distortion. As published 0 for captures of all around, 100 for some
            outdoors, and 1,000 for objects.
        distortion_from: share of the run after which it counts (step 3,000).

    Raises:
        ValueError: a number outside its range.
    """

    normal: Annotated[float, NOT_NEGATIVE] = 0.05
    normal_from: Annotated[float, SHARE] = 7 / 30
    distortion: Annotated[float, NOT_NEGATIVE] = 0.0
    distortion_from: Annotated[float, SHARE] = 1 / 10

    def __post_init__(self) -> None:
        check_ranges(self)


class Surfaces(Part):
    """`--parts surfaces`, and part of every training of `--model 2dgs` or `flat`."""

    settings: ClassVar[type[Any] | None] = SurfacesConfig
    first_order: ClassVar[str | None] = "knows no surfaces; leave out --parts surfaces"
    neighbours: ClassVar[str | None] = "finds the normals of surfaces by the depths of neighbouring pixels"

    def __init__(self, settings: SurfacesConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._normal_from = round(settings.normal_from * config.steps)
        self._distortion_from = round(settings.distortion_from * config.steps)

    def wants(self, step: int) -> Wants:
        return Wants(surfaces=self._normals_count(step) or self._distortion_counts(step))

    def _normals_count(self, step: int) -> bool:
        return self._settings.normal > 0 and step > self._normal_from

    def _distortion_counts(self, step: int) -> bool:
        return self._settings.distortion > 0 and step > self._distortion_from

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        if rendering.hits is None:
            return None
        counts = torch.ones_like(rendering.alphas[0, ..., 0]) if target.mask is None else target.mask
        terms = []
        # What a surface looks like through another lens is not known.
        if self._normals_count(step) and target.model == "pinhole":
            terms.append(self._settings.normal * _mean(_disagreement(rendering, target), counts))
        if self._distortion_counts(step):
            # Near and far as in a scene of that length, so that units do not matter.
            unit = rendering.scene.scene_extent / PUBLISHED_LENGTH
            apart = distortion(
                rendering.alphas, rendering.hits, DISTORTION_NEAR * unit, DISTORTION_FAR * unit
            )
            terms.append(self._settings.distortion * _mean(apart[0, ..., 0], counts))
        return sum(terms[1:], terms[0]) if terms else None


def _disagreement(rendering: Rendering, target: Target) -> Tensor:
    """[H, W] 1 - N . A N_d"""
    assert rendering.hits is not None
    alphas = rendering.alphas[..., 0]
    depths = rendering.hits[..., 0] / alphas.clamp(min=1e-10)
    found = normals_of_depths(depths, target.viewmat, target.K)
    return 1 - ((rendering.meta["normals"] * found).sum(-1) * alphas.detach())[0]


def _mean(image: Tensor, counts: Tensor) -> Tensor:
    """Over the pixels that count."""
    weights = counts.to(image)
    return (image * weights).sum() / weights.sum().clamp(min=1)
