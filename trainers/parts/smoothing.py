"""The 3D filter of Mip-Splatting as a part of the training: it follows the scene that it smooths.

As published, it is computed at the start, after each density control, and every hundred steps while Gaussians
only move, but for the last hundred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.strategy import SceneView
from gsplat_core.models.mip import FILTER, deviations
from gsplat_core.render.sampling import finest_rates
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part

if TYPE_CHECKING:
    from trainers.config import TrainConfig

EVERY = 100


class Smoothing(Part):
    """Part of every run whose primitive has the filter."""

    def __init__(self, steps: int, views: Sequence[View]) -> None:
        self._steps = steps
        self._cameras = [view.camera for view in views]
        self._outdated = True

    @classmethod
    def of(cls, name: str, config: TrainConfig, views: Sequence[View]) -> Smoothing | None:
        has_it = FILTER in primitive.get(config.primitive).schema
        return cls(config.steps, views) if has_it else None

    def initialize(self, num: int, device: torch.device) -> None:
        self._outdated = True

    def carried(self, step: int, scene: SceneView) -> Mapping[str, Tensor]:
        settles = step > self._steps - EVERY
        due = self._outdated or (step % EVERY == 0 and not settles)
        # A scene that is trained on, from a file, may have it in its scales already.
        if not due or FILTER not in scene.schema:
            return {}
        self._outdated = False
        return {FILTER: deviations(finest_rates(scene.params["means"], self._cameras))}

    def follow(self, plan: RowPlan) -> None:
        self._outdated = self._outdated or not plan.stays

    def state_dict(self) -> dict[str, Any]:
        return {"outdated": torch.tensor(self._outdated)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._outdated = bool(state["outdated"])
