"""Unified gradient-aware density control (Chen et al. 2024, "AT-GS"), which has no rule of sizes.

ADC clones what is small and splits what is large, so a threshold of sizes decides what becomes of detail that
is missing. Here every Gaussian that grows stays as it is and gets one copy of its own size next to it. It
grows if three things hold in the mean over the views that see it:

- the image pulls at its projected centre;
- the loss does not want it to become smaller: the gradient of its two larger log-scales, summed up with its
  sign, is not above a tiny threshold;
- it is not opaque already.

The copy stands at X + Q e with e ~ N(0, diag(s min(1, g / 2G))^2), where g is how hard the image pulls and G
the mean of that: what is pulled at little stays close to its copy. Faint, unseen, oversized and vanishing
Gaussians go, and from time to time all opacities are multiplied by a factor, so that what is not needed fades
to where it goes.

As published the two scales are those in the plane of a surfel, opacities are means over the visits, and it is
a second stage of 800 steps. Here opacities are those at the refinement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.densify.edits import Clone, Edit, Prune, Reset
from gsplat_core.densify.refining import Refining
from gsplat_core.densify.rows import finite_rows, foremost, indices, offsets_within
from gsplat_core.densify.strategy import RenderStats, ScaleRule, SceneView
from gsplat_core.densify.stretching import point_in_time, refinement_interval
from gsplat_core.ranges import BETWEEN_0_AND_1, COUNT, INTERVAL, POSITIVE, SEED, STEP, Range, check_ranges


@dataclass(frozen=True)
class UnifiedConfig:
    """Thresholds as published, and the published schedule stretched from 800 to 30,000 iterations.

    Args:
        gradient_threshold: mean pull at the projected centre from which a Gaussian grows, in the units of
            `ADCConfig.gradient_threshold`.
        shrink_threshold: mean gradient of the two larger log-scales, added up, above which it does not.
        opaque: logit of the opacity above which it does not.
        prune_opacity: Gaussians less opaque than this are removed,
        prune_scale: and those with a standard deviation above this,
        prune_area: and those whose two larger standard deviations have a smaller product than this. Lengths
            are fractions as `scale` says, as in `ADCConfig`.
        refine_start, refine_stop, refine_every: refine at the multiples of `refine_every` strictly between.
        reset_every, reset_factor: at the multiples of `reset_every` before `refine_stop` all opacities are
            multiplied by `reset_factor`.
        scale: which length of the scene sizes and learning rates are in proportion to.
        max_gaussians: never grow beyond this number; those that are pulled at hardest grow first.
        seed: of the places of copies.

    Raises:
        ValueError: a value outside its range.
    """

    gradient_threshold: Annotated[float, POSITIVE] = 1e-4
    shrink_threshold: Annotated[float, Range(-1e12, 1e12)] = 1e-7
    opaque: Annotated[float, Range(-1e12, 1e12)] = 2.0
    prune_opacity: Annotated[float, BETWEEN_0_AND_1] = 0.1
    prune_scale: Annotated[float, POSITIVE] = 0.5
    prune_area: Annotated[float, POSITIVE] = 1e-8
    refine_start: Annotated[int, STEP] = 1125
    refine_stop: Annotated[int, STEP] = 15_000
    refine_every: Annotated[int, INTERVAL] = 100
    reset_every: Annotated[int, INTERVAL] = 7690
    reset_factor: Annotated[float, BETWEEN_0_AND_1] = 0.12
    scale: ScaleRule = "seen"
    max_gaussians: Annotated[int, COUNT] | None = None
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> UnifiedConfig:
        """The same schedule for a run `factor` times as long; see `densify/stretching.py`."""
        return replace(
            self,
            refine_start=point_in_time(self.refine_start, factor),
            refine_stop=point_in_time(self.refine_stop, factor),
            refine_every=refinement_interval(self.refine_every, factor),
            reset_every=point_in_time(self.reset_every, factor),
        )


class Unified(Refining[UnifiedConfig]):
    """The strategy; see the module."""

    def __init__(self, config: UnifiedConfig | None = None) -> None:
        self.config = UnifiedConfig() if config is None else config
        super().__init__(self.config.seed)
        self.initialize(0, "cpu")

    def initialize(self, num: int, device: torch.device | str) -> None:
        """Forgets all statistics and expects `num` Gaussians from now on."""
        self.rows = {"unseen": torch.zeros(num, device=device), **_blank(num, device)}

    @torch.no_grad()
    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Adds the gradients of the views that see each Gaussian."""
        if step >= self.config.refine_stop:
            return
        if stats.scales_grad is None:
            raise ValueError("unified density control needs RenderStats.scales_grad")
        self.check_rows(stats.radii.shape[1])
        seen = stats.radii[..., 0] > 0
        for camera, visible in enumerate(seen):
            self.rows["pull"] += torch.where(visible, stats.pulls(camera), 0)
        anywhere = seen.any(dim=0)
        self.rows["seen"] += seen.sum(dim=0)
        self.rows["shrink"] += torch.where(anywhere[:, None], stats.scales_grad * stats.num_cameras, 0)
        self.rows["unseen"] = torch.where(anywhere, 0, self.rows["unseen"] + 1)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        """Removal, copies and lower opacities where the schedule has them, else nothing."""
        c = self.config
        if step >= c.refine_stop:
            return []
        self.check_rows(view.num)
        opacities = view.params["opacities"]
        lower = step % c.reset_every == 0
        after = _multiplied(opacities, c.reset_factor) if lower else opacities
        edits: list[Edit] = [Reset(None, {"opacities": after})] if lower else []
        if self.grows_at(step):
            edits += self._refine(view, after)
            self.rows |= _blank(view.num, opacities.device)
        return edits

    def need(self, view: SceneView) -> Tensor:
        """The mean pull as a multiple of the threshold; 0 for those that must not grow."""
        seen = self.rows["seen"].clamp(min=1)
        shrink = self.rows["shrink"] / seen[:, None]
        smallest = view.params["scales"].detach().argmin(dim=1, keepdim=True)
        larger_two = shrink.sum(dim=1) - shrink.gather(1, smallest).squeeze(1)
        allowed = (larger_two <= self.config.shrink_threshold) & (
            view.params["opacities"].detach() <= self.config.opaque
        )
        return torch.where(allowed, self._pulls(), 0) / self.config.gradient_threshold

    def _pulls(self) -> Tensor:
        """[N] means over the visits; 0 where there is none that is finite."""
        return (self.rows["pull"] / self.rows["seen"].clamp(min=1)).nan_to_num(0, 0, 0)

    def _refine(self, view: SceneView, opacities: Tensor) -> list[Edit]:
        guidance = view.guidance
        leaving = ~finite_rows(view.params)
        if guidance.leaving is not None:
            leaving |= guidance.leaving
        gone = (self._superfluous(view) | leaving) & view.free
        if gone.all():  # all are faint, as after opacities were lowered, and nobody would be left
            return []
        need = self.need(view)
        if guidance.eagerness is not None:
            need = need * guidance.eagerness
        grow = indices((need >= 1) & ~gone & view.free)
        limit = guidance.also(limit=self.config.max_gaussians).limit
        if limit is not None:
            order = need if guidance.order is None else guidance.order
            room = max(limit - int((~gone).sum()), 0)
            grow = foremost(grow, order, room)
        return [Prune(indices(gone)), self._copies(view.params, grow, opacities)]

    def _superfluous(self, view: SceneView) -> Tensor:
        """[N] whether nobody would miss it."""
        c = self.config
        reach = view.reach(c.scale)
        sizes = view.params["scales"].exp().sort(dim=1, descending=True).values / reach[:, None]
        gone = sigmoid(view.params["opacities"]) < c.prune_opacity
        gone |= (sizes[:, 0] > c.prune_scale) | (sizes[:, 0] * sizes[:, 1] < c.prune_area)
        if view.views is not None:
            # Views come in random order, each once per round: in two rounds, every one of them after it.
            gone |= self.rows["unseen"] >= 2 * len(view.views)
        return gone

    def _copies(self, params: Mapping[str, Tensor], rows: Tensor, opacities: Tensor) -> Clone:
        pulls = self._pulls()
        mean = pulls[self.rows["seen"] > 0].mean().clamp(min=1e-30)
        apart = (pulls[rows] / (2 * mean)).clamp(max=1)
        sizes = params["scales"][rows].exp() * apart[:, None]
        offsets = offsets_within(params["quats"][rows], sizes, 1, self.random)[:, 0]
        return Clone(rows, {"means": params["means"][rows] + offsets, "opacities": opacities[rows]})


def _blank(num: int, device: torch.device | str) -> dict[str, Tensor]:
    """Statistics of no view."""
    return {
        "pull": torch.zeros(num, device=device),
        "seen": torch.zeros(num, device=device),
        "shrink": torch.zeros(num, 3, device=device),
    }


def _multiplied(logits: Tensor, factor: float) -> Tensor:
    """The logits of opacities that are `factor` times as large."""
    log_opacity = torch.nn.functional.logsigmoid(logits) + math.log(factor)
    return log_opacity - torch.log1p(-log_opacity.exp())
