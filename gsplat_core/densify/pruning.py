"""Pruning by contribution: what hardly shows in any training view goes, over any strategy.

The score of a Gaussian is the blending weight alpha T that the photographs' cameras see of it, summed over
pixels and views, or the largest at any pixel. Mini-Splatting (Fang and Wang 2024) and Speedy-Splat (Hanson et
al. 2024) prune by such scores what ADC's threshold of opacity does not catch, such as opaque Gaussians behind
others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit, Prune
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.rows import indices
from gsplat_core.densify.strategy import SceneView, Strategy
from gsplat_core.densify.stretching import point_in_time
from gsplat_core.densify.views import Views
from gsplat_core.ranges import INTERVAL, STEP, Range, check_ranges


@dataclass(frozen=True)
class PruningConfig:
    """Args:
        start, stop, every: prune at the multiples of `every` from `start` to `stop`, both included.
        score: what is summed up over the views.
        share: the Gaussians with the lowest scores go whose scores together are this share of all.
        most: but no more than this share of the Gaussians at a time.

    Raises:
        ValueError: a value outside its range.
    """

    start: Annotated[int, STEP] = 6000
    stop: Annotated[int, STEP] = 24_000
    every: Annotated[int, INTERVAL] = 3000
    score: Literal["sum", "largest"] = "sum"
    share: Annotated[float, Range(0, 1, "most")] = 0.01
    most: Annotated[float, Range(0, 1, "most")] = 0.5

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.score not in ("sum", "largest"):
            raise ValueError(f'score = {self.score!r}: expected "sum" or "largest"')

    def stretched(self, factor: float) -> PruningConfig:
        """The same schedule for a run `factor` times as long."""
        return replace(
            self,
            start=point_in_time(self.start, factor),
            stop=point_in_time(self.stop, factor),
            every=point_in_time(self.every, factor),
        )


class ContributionPruning(Plugin):
    """The plug-in; see the module."""

    def __init__(self, base: Strategy, config: PruningConfig | None = None) -> None:
        self.config = PruningConfig() if config is None else config
        super().__init__(base)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        c = self.config
        edits = super().on_step(step, view)
        if not (c.start <= step <= c.stop and step % c.every == 0):
            return edits
        if view.views is None:
            raise ValueError("pruning by contribution needs SceneView.views")
        # In front: what the strategy behind multiplies in the same iteration stays, as its copies.
        return [Prune(indices(_superfluous(self._scores(view, view.views), c.share, c.most))), *edits]

    def _scores(self, view: SceneView, views: Views) -> Tensor:
        total = torch.zeros(view.num, dtype=torch.float64, device=view.params["means"].device)
        for index in range(len(views)):
            shares = views.shares(view.params, index)
            if self.config.score == "sum":
                total += shares.weights
            else:
                total = torch.maximum(total, shares.largest.double())
        return total


def _superfluous(scores: Tensor, share: float, most: float) -> Tensor:
    """[N] the lowest scores [N] that together are at most a share of their sum, and at most a share of N."""
    order = scores.argsort(stable=True)
    low = scores[order].cumsum(0) <= share * scores.sum()
    low[int(most * len(scores)) :] = False
    mask = torch.zeros_like(low)
    mask[order[low]] = True
    return mask
