"""The shapes of GES start anew again and again while Gaussians are added (Hamdi et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from gsplat_core import primitive
from gsplat_core.densify.edits import Edit, Reset
from gsplat_core.densify.strategy import SceneView
from gsplat_core.models.ges import SHAPE
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part

if TYPE_CHECKING:
    from trainers.config import TrainConfig

EVERY, UNTIL = 1 / 40, 15 / 40
"""As shares of the run: published are 1,000 and 15,000 of 40,000 steps."""


class Shapes(Part):
    """Part of every run whose primitive has shapes: they become 0 and lose their moments."""

    def __init__(self, steps: int) -> None:
        self._every = max(round(EVERY * steps), 1)
        self._until = UNTIL * steps

    @classmethod
    def of(cls, name: str, config: TrainConfig, views: Sequence[View]) -> Shapes | None:
        return cls(config.steps) if SHAPE in primitive.get(config.primitive).schema else None

    def resets_at(self, step: int) -> bool:
        """Whether shapes are reset after this step: the one behind a multiple of the interval, so that the
        copies that density control made there are reset, too."""
        before = step - 1
        return before > 0 and before % self._every == 0 and before < self._until

    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        # A scene that is trained on, from a file, has them in its scales.
        if not self.resets_at(step) or SHAPE not in scene.schema:
            return []
        return [Reset(None, {SHAPE: torch.zeros_like(scene.params[SHAPE])})]
