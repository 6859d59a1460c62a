"""The object's outline: how much of the background the scene covers is what a photograph's transparency says
(AT-GS, Chen et al. 2024; binary cross-entropy, as in Gaussian Surfels, Dai et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.ranges import NOT_NEGATIVE, check_ranges
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig

_LEAST = 1e-6
"""Alphas count as at least so far from 0 and 1."""


@dataclass(frozen=True)
class SilhouetteConfig:
    """Args:
        weight: of the mean cross-entropy over the pixels.

    Raises:
        ValueError: a number outside its range.
    """

    weight: Annotated[float, NOT_NEGATIVE] = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)


class Silhouette(Part):
    """`--parts silhouette`, and part of every training of `--model flat`. Photographs that are not
    transparent say nothing."""

    settings: ClassVar[type[Any] | None] = SilhouetteConfig
    first_order: ClassVar[str | None] = "knows no outlines; leave out --parts silhouette"
    neighbours: ClassVar[str | None] = "compares the outlines of whole photographs"

    def __init__(self, settings: SilhouetteConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._views = views

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        outline = silhouette(self._views[target.view]) if self._views else None
        if outline is None:
            return None
        outline = outline.to(rendering.alphas.device)
        size = (target.height, target.width)
        if outline.shape != size:
            options: dict[str, Any] = {"mode": "bilinear", "antialias": True}
            outline = torch.nn.functional.interpolate(outline[None, None], size, **options)[0, 0]
        alphas = rendering.alphas[0, ..., 0].clamp(_LEAST, 1 - _LEAST)
        entropy = torch.nn.functional.binary_cross_entropy(alphas, outline, reduction="none")
        if target.mask is not None:
            entropy = torch.where(target.mask, entropy, 0.0)
        return self._settings.weight * entropy.mean()


def silhouette(view: View) -> Tensor | None:
    """[H, W] in [0, 1], how opaque a photograph is; None where it is whole."""
    alpha = view.alpha()
    return None if alpha is None else alpha / 255
