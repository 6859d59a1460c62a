"""Spectral pruning during training, over any strategy (SUNDAE, Yang et al. 2024).

Once, when the density control behind is done ("training then pruning"), after which the rest of the run lets
those that stay take over; or in intervals while it goes on ("continuous pruning"). Who stays is said by the
graph of the Gaussians (`gsplat_core/compress/spectral.py`), so no photograph is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch

from gsplat_core.compress.ranking import others
from gsplat_core.compress.spectral import SpectralConfig, spectral_choice
from gsplat_core.densify.edits import Edit, Prune
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.strategy import SceneView, Strategy
from gsplat_core.densify.stretching import point_in_time
from gsplat_core.ranges import BETWEEN_0_AND_1, INTERVAL, SHARE, STEP, Range, check_ranges


@dataclass(frozen=True)
class SpectralPruningConfig:
    """Args:
        times: once, when the density control behind has ended, but not before `start`; or in intervals.
        start, stop, every: in intervals, prune at `start` and every so many steps from there to `stop`.
        rate: the part of the Gaussians that goes each time.
        gamma: share of those that stay which differ most from their neighbours.
        neighbors: that each Gaussian is compared with.

    Raises:
        ValueError: a value outside its range.
    """

    times: Literal["once", "intervals"] = "once"
    start: Annotated[int, STEP] = 6000
    stop: Annotated[int, STEP] = 15_000
    every: Annotated[int, INTERVAL] = 3000
    rate: Annotated[float, BETWEEN_0_AND_1] = 0.5
    gamma: Annotated[float, SHARE] = SpectralConfig.gamma
    neighbors: Annotated[int, Range(1, 64)] = SpectralConfig.neighbors

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.times not in ("once", "intervals"):
            raise ValueError(f'times = {self.times!r}: expected "once" or "intervals"')

    def stretched(self, factor: float) -> SpectralPruningConfig:
        """The same schedule for a run `factor` times as long."""
        return replace(
            self,
            start=point_in_time(self.start, factor),
            stop=point_in_time(self.stop, factor),
            every=point_in_time(self.every, factor),
        )


class SpectralPruning(Plugin):
    """The plug-in; see the module."""

    def __init__(self, base: Strategy, config: SpectralPruningConfig | None = None) -> None:
        self.config = SpectralPruningConfig() if config is None else config
        super().__init__(base)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        c = self.config
        edits = super().on_step(step, view)
        if not self._prunes_at(step):
            return edits
        count = max(1, round(view.num * (1 - c.rate)))
        stay = spectral_choice(view.params, count, SpectralConfig(neighbors=c.neighbors, gamma=c.gamma))
        # In front: what the strategy behind multiplies in the same iteration stays, as its copies.
        return [Prune(others(stay, view.num)), *edits]

    def _prunes_at(self, step: int) -> bool:
        c = self.config
        if c.times == "once":
            return step == max(c.start, self.base.ends, 1)
        return c.start <= step <= c.stop and (step - c.start) % c.every == 0
