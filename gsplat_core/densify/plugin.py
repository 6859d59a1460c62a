"""A plug-in stands in front of a strategy, guides it and adds to its answer.

`LPM(ADC())` is a strategy like any other, and so is `LPM(ContributionPruning(MCMC()))`: whoever trains sees
no difference. A plug-in overrides the methods it has something to say to and calls those of the strategy
behind it, `self.base`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.store import ParameterStore
from gsplat_core.densify.strategy import Initialization, RenderStats, ScaleRule, SceneView, Strategy, Wants

_BASE = "base."


class Plugin(Strategy):
    """Passes everything on to the strategy behind it.

    Args:
        base: that strategy.
        seed: of this plug-in's own random numbers.
    """

    def __init__(self, base: Strategy, seed: int = 0) -> None:
        super().__init__(seed)
        self.base = base

    @property
    def initialization(self) -> Initialization:  # type: ignore[override]
        return self.base.initialization

    @property
    def changes(self) -> frozenset[str]:  # type: ignore[override]
        return self.base.changes

    def initialize(self, num: int, device: torch.device | str) -> None:
        self.base.initialize(num, device)

    def wants(self, step: int) -> Wants:
        return self.base.wants(step)

    def regularization(self, splats: Mapping[str, Tensor], view: SceneView) -> Tensor | None:
        return self.base.regularization(splats, view)

    def on_backward(self, step: int, stats: RenderStats) -> None:
        self.base.on_backward(step, stats)

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        return self.base.on_step(step, view)

    @property
    def scale(self) -> ScaleRule:
        return self.base.scale

    @property
    def most(self) -> int | None:
        return self.base.most

    @property
    def ends(self) -> int:
        return self.base.ends

    def adopted(self, store: ParameterStore) -> None:
        self.base.adopted(store)

    def grows_at(self, step: int) -> bool:
        return self.base.grows_at(step)

    def need(self, view: SceneView) -> Tensor | None:
        return self.base.need(view)

    def divides(self, view: SceneView) -> Tensor | None:
        return self.base.divides(view)

    def follow(self, plan: RowPlan) -> None:
        super().follow(plan)
        self.base.follow(plan)

    def state_dict(self) -> dict[str, Tensor]:
        behind = {_BASE + name: tensor for name, tensor in self.base.state_dict().items()}
        return {**super().state_dict(), **behind}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        own = {name: tensor for name, tensor in state.items() if not name.startswith(_BASE)}
        behind = {name[len(_BASE) :]: state[name] for name in state if name.startswith(_BASE)}
        super().load_state_dict(own)
        self.base.load_state_dict(behind)
