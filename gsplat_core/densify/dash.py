"""As many Gaussians as the resolution can show (Chen et al. 2025, "DashGaussian"), over ADC.

Together with the resolution schedule of the trainer (`trainers/resolution.py`): while images are small, few
Gaussians are enough. The number they grow to is not given but found, from how many ADC would like to add.

At image size 1/s, with T the end of growth:

    target(t) = initial + (most - initial) / s^(2 - t/T),    most = initial + momentum
    momentum <- max(momentum, 0.98 momentum + min(10^6, those above ADC's threshold))

and no refinement adds more than a fifth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch

from gsplat_core.densify.edits import Edit
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.strategy import SceneView, Strategy
from gsplat_core.densify.stretching import point_in_time, refinement_interval
from gsplat_core.ranges import COUNT, INTERVAL, NOT_NEGATIVE, POSITIVE, SHARE, check_ranges


@dataclass(frozen=True)
class DashConfig:
    """Args:
        stop: where the number reaches its target; the end of growth of the strategy behind.
        every: its interval of refinement.
        initial_momentum: as a multiple of the initial number.
        decay: of the momentum per refinement.
        most_added: no more than this per refinement enters the momentum.
        growth: no refinement adds more than this share.

    Raises:
        ValueError: a value outside its range.
    """

    stop: Annotated[int, INTERVAL] = 15_000
    every: Annotated[int, INTERVAL] = 100
    initial_momentum: Annotated[float, NOT_NEGATIVE] = 5.0
    decay: Annotated[float, SHARE] = 0.98
    most_added: Annotated[int, COUNT] = 1_000_000
    growth: Annotated[float, POSITIVE] = 0.2

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> DashConfig:
        """The same schedule for a run `factor` times as long."""
        return replace(
            self,
            stop=point_in_time(self.stop, factor),
            every=refinement_interval(self.every, factor),
        )


class Dash(Plugin):
    """The plug-in; see the module."""

    def __init__(self, base: Strategy, config: DashConfig | None = None) -> None:
        self.config = DashConfig() if config is None else config
        super().__init__(base)
        self.numbers = {"initial": 0.0, "momentum": 0.0}

    def initialize(self, num: int, device: torch.device | str) -> None:
        super().initialize(num, device)
        self.numbers = {"initial": float(num), "momentum": self.config.initial_momentum * num}

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        if self.grows_at(step):
            need = self.need(view)
            if need is not None:
                self._learn(int((need >= 1).sum()))
            view = replace(view, guidance=view.guidance.also(limit=self._limit(step, view)))
        return super().on_step(step, view)

    def _learn(self, wanted: int) -> None:
        momentum = self.numbers["momentum"]
        wanted = min(wanted, self.config.most_added)
        self.numbers["momentum"] = max(momentum, math.floor(self.config.decay * momentum + wanted))

    def _limit(self, step: int, view: SceneView) -> int:
        c, initial = self.config, self.numbers["initial"]
        target = initial + self.numbers["momentum"]
        if step + c.every < c.stop:
            target = initial + self.numbers["momentum"] / max(view.downscale, 1.0) ** (2 - step / c.stop)
        rate = min(max(target / max(view.num, 1) - 1, 0.0), c.growth)
        return math.floor(view.num * (1 + rate))
