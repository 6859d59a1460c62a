"""Density control as a part of the training: a strategy of `gsplat_core.densify` and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.registry import create
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import RenderStats, SceneView, Strategy, Wants
from gsplat_core.losses import as_float
from gsplat_core.scene.dataset import View
from gsplat_core.scene.schema import Schema
from trainers.parts.part import Part, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


class Density(Part):
    """Every run has one, but for those on a mesh; `TrainConfig.strategy` and `TrainConfig.densify` say
    which."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self._schema: Schema | None = None
        self._trained: set[str] = set()
        """What has to be trained for the strategy to change rows of this schema."""

    @classmethod
    def of(cls, name: str, config: TrainConfig, views: Sequence[View]) -> Density | None:
        return cls(create(config.strategy, config.densify)) if config.on_mesh is None else None

    def initialize(self, num: int, device: torch.device) -> None:
        self.strategy.initialize(num, device)

    def adopted(self, store: ParameterStore) -> None:
        self.strategy.adopted(store)

    def wants(self, step: int) -> Wants:
        return self.strategy.wants(step)

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        term = self.strategy.regularization(rendering.splats, rendering.scene)
        if "probe" not in rendering.meta:
            return term
        # Zero itself; its gradient makes the statistics (see gsplat_core.rasterization).
        error = (rendering.image[0].detach() - as_float(target.image)).abs().mean(dim=-1)
        probed = (rendering.meta["probe"][0] * error).sum()
        return probed if term is None else term + probed

    def on_backward(self, step: int, stats: RenderStats) -> None:
        self.strategy.on_backward(step, stats)

    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        if scene.schema is not self._schema:  # once in a run
            self._schema, changes = scene.schema, self.strategy.changes
            self._trained = {scene.schema[name].decoded_from or name for name in changes}
        free = scene.learning_rates.keys() >= self._trained
        return self.strategy.on_step(step, scene) if free else []

    def follow(self, plan: RowPlan) -> None:
        self.strategy.follow(plan)

    def state_dict(self) -> dict[str, Any]:
        return self.strategy.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.strategy.load_state_dict(state)
