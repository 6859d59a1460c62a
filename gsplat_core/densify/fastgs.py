"""Growth and pruning by what several views agree on (Ren et al. 2025, "FastGS"), over any strategy.

At each refinement a sample of the training views is rendered. Pixels are wrong whose error, moved and scaled
to [0, 1] over the view, is above a threshold. Two scores count the wrong pixels in a Gaussian's footprint:

- growth: their mean number over the views. Only Gaussians with more than a few of them multiply, so what one
  view pulls at, or what is right already, does not.
- pruning: their numbers, each weighted by the view's loss, summed up over the views and then moved and scaled
  to [0, 1] over the scene. Who is among the worst goes: it is where many views are wrong, and does not help.

When growth has ended, pruning goes on at longer intervals.

How many pixels of a footprint are wrong is its number of pixels times the part of its blending weight that is
in wrong ones: so what others cover does not count. That is exact where the weight is even.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit, Prune
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.rows import indices, to_unit
from gsplat_core.densify.strategy import SceneView, Strategy
from gsplat_core.densify.stretching import point_in_time
from gsplat_core.densify.views import Views
from gsplat_core.losses import l1_dssim
from gsplat_core.ranges import COUNT, INTERVAL, NOT_NEGATIVE, SEED, SHARE, STEP, check_ranges


@dataclass(frozen=True)
class FastGSConfig:
    """Args:
        views: how many training views are looked at.
        error: of a view's errors, scaled to [0, 1], above which a pixel is wrong.
        pixels: more wrong pixels than this, in the mean over the views, let a Gaussian multiply.
        prune: Gaussians with a higher pruning score than this, from 0 to 1, go; 1 for nobody.
        prune_every: interval of pruning after growth,
        prune_stop: up to this iteration, included.
        lambda_dssim: of the views' loss.
        seed: of the sample of views.

    Raises:
        ValueError: a value outside its range.
    """

    views: Annotated[int, COUNT] = 10
    error: Annotated[float, SHARE] = 0.1
    pixels: Annotated[float, NOT_NEGATIVE] = 5.0
    prune: Annotated[float, SHARE] = 0.9
    prune_every: Annotated[int, INTERVAL] = 3000
    prune_stop: Annotated[int, STEP] = 27_000
    lambda_dssim: Annotated[float, SHARE] = 0.2
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> FastGSConfig:
        """The same schedule for a run `factor` times as long."""
        return replace(
            self,
            prune_every=point_in_time(self.prune_every, factor),
            prune_stop=point_in_time(self.prune_stop, factor),
        )


class FastGS(Plugin):
    """The plug-in; see the module."""

    def __init__(self, base: Strategy, config: FastGSConfig | None = None) -> None:
        self.config = FastGSConfig() if config is None else config
        super().__init__(base, self.config.seed)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        c = self.config
        grows = self.grows_at(step)
        settles = self.ends <= step <= c.prune_stop and step % c.prune_every == 0
        if not (grows or settles):
            return super().on_step(step, view)
        if view.views is None:
            raise ValueError("FastGS needs SceneView.views")
        growth, pruning = self._scores(view, view.views)
        leaving = pruning > c.prune
        if grows:
            eager = (growth > c.pixels).to(growth)
            guidance = view.guidance.also(eagerness=eager, leaving=leaving)
            return super().on_step(step, replace(view, guidance=guidance))
        return [Prune(indices(leaving)), *super().on_step(step, view)]

    def _scores(self, view: SceneView, views: Views) -> tuple[Tensor, Tensor]:
        """[N] the mean number of wrong pixels per view, and [N] the pruning score."""
        c, params = self.config, view.params
        counts = torch.zeros(view.num, device=params["means"].device)
        blamed = torch.zeros_like(counts)
        sample = torch.randperm(len(views), generator=self.random)[: c.views].tolist()
        for index in sample:
            image = views.image(params, index)
            photograph = views.photograph(index).to(image)
            wrong = to_unit((image - photograph).abs().mean(dim=-1)) > c.error
            shares = views.shares(params, index)
            weights = views.weighted_shares(params, index, wrong.to(image))
            own = shares.pixels * (weights / shares.weights.clamp(min=1e-12)).clamp(max=1)
            counts += own
            blamed += own * l1_dssim(image[None], photograph[None], c.lambda_dssim)
        return counts / len(sample), to_unit(blamed)
