"""The density control of N-DG (Diolatzis et al. 2024, "N-dimensional Gaussians for Fitting of High
Dimensional Functions"): the optimizer decides who is needed.

At each refinement every Gaussian more opaque than a threshold gets two faint sub-Gaussians in its own frame:
within its spread, and smaller than it. Until the next one they are trained like all others. Those that became
more opaque than the threshold are Gaussians with sub-Gaussians of their own then; the others, and Gaussians
that faded, are removed. So there is no rule for where detail is missing. Of Gaussians over viewing directions
(`models/directional.py`) the frame is that of places and directions together, and sub-Gaussians divide a lobe
as well as a place.

Where the number is capped, those whose projected centres the images pull at most have sub-Gaussians first, as
in ADC. As long as none is more opaque than the threshold, nothing happens. In the published code a
sub-Gaussian moves with its parent until it is one of its own; here it is free at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.densify.edits import Clone, Edit, Prune
from gsplat_core.densify.refining import Refining
from gsplat_core.densify.rows import finite_rows, foremost, in_frames, indices, offsets_within
from gsplat_core.densify.strategy import RenderStats, ScaleRule, SceneView
from gsplat_core.densify.stretching import point_in_time, refinement_interval
from gsplat_core.ranges import BETWEEN_0_AND_1, COUNT, INTERVAL, POSITIVE, SEED, STEP, check_ranges


@dataclass(frozen=True)
class SubGaussiansConfig:
    """Settings as published where there are any, for a run of 30,000 iterations.

    Args:
        main_opacity: Gaussians more opaque than this have sub-Gaussians and stay; others go.
        sub_opacity: of new sub-Gaussians.
        children: of each Gaussian.
        spread: standard deviations of the parent within which sub-Gaussians lie: of a normal distribution.
        shrink: sub-Gaussians have the standard deviations of their parent divided by this.
        refine_start, refine_stop, refine_every: refine at the multiples of `refine_every` strictly between.
        scale: which length of the scene learning rates are in proportion to ("seen" or "published").
        max_gaussians: never grow beyond this number.
        seed: of the places of sub-Gaussians.

    Raises:
        ValueError: a value outside its range.
    """

    main_opacity: Annotated[float, BETWEEN_0_AND_1] = 0.1
    sub_opacity: Annotated[float, BETWEEN_0_AND_1] = 0.05
    children: Annotated[int, COUNT] = 2
    spread: Annotated[float, POSITIVE] = 1.0
    shrink: Annotated[float, POSITIVE] = 1.6
    refine_start: Annotated[int, STEP] = 500
    refine_stop: Annotated[int, STEP] = 15_000
    refine_every: Annotated[int, INTERVAL] = 300
    scale: ScaleRule = "seen"
    max_gaussians: Annotated[int, COUNT] | None = None
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> SubGaussiansConfig:
        """The same schedule for a run `factor` times as long; see `densify/stretching.py`."""
        return replace(
            self,
            refine_start=point_in_time(self.refine_start, factor),
            refine_stop=point_in_time(self.refine_stop, factor),
            refine_every=refinement_interval(self.refine_every, factor),
        )


class SubGaussians(Refining[SubGaussiansConfig]):
    """The strategy; see the module."""

    def __init__(self, config: SubGaussiansConfig | None = None) -> None:
        self.config = SubGaussiansConfig() if config is None else config
        super().__init__(self.config.seed)
        self.initialize(0, "cpu")

    def initialize(self, num: int, device: torch.device | str) -> None:
        """Forgets how much Gaussians were pulled at, and expects `num` of them from now on."""
        self.rows = {"pull": torch.zeros(num, device=device)}

    @torch.no_grad()
    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Adds the lengths of the gradients of projected centres."""
        if step >= self.config.refine_stop:
            return
        self.check_rows(stats.radii.shape[1])
        self.rows["pull"] += stats.means2d_grad.norm(dim=-1).nan_to_num(0, 0, 0).sum(0)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        """Removal and sub-Gaussians where the schedule has them, else nothing."""
        c = self.config
        if step >= c.refine_stop:
            return []
        self.check_rows(view.num)
        if not self.grows_at(step):
            return []
        guidance, finite = view.guidance, finite_rows(view.params)
        stays = finite if guidance.leaving is None else finite & ~guidance.leaving
        main = (sigmoid(view.params["opacities"]) > c.main_opacity) & stays
        if not main.any():  # all are faint yet, and nobody would be left
            return []
        gone = ~main & view.free
        parents = indices(main & view.free)
        limit = guidance.also(limit=c.max_gaussians).limit
        if limit is not None:
            order = self.rows["pull"] if guidance.order is None else guidance.order
            room = max(limit - int((~gone).sum()), 0) // c.children
            parents = foremost(parents, order, room)
        self.initialize(view.num, gone.device)
        return [Prune(indices(gone)), self._subs(view.params, parents)]

    def _subs(self, params: Mapping[str, Tensor], parents: Tensor) -> Clone:
        """Faint copies at random places in the frames of their parents, and smaller."""
        c = self.config
        rows = parents.repeat_interleave(c.children)
        smaller = params["scales"].new_tensor(c.shrink).log()
        quats, sizes = params["quats"][parents], params["scales"][parents].exp()
        offsets = offsets_within(quats, c.spread * sizes, c.children, self.random)
        values = {
            "scales": params["scales"][rows] - smaller,
            "opacities": torch.full_like(params["opacities"][rows], c.sub_opacity).logit(),
        }
        if "directions" in params:
            # The factor L = [[Ld, 0], [X, Lp]] of the parent times a normal vector, the direction first.
            normal = c.spread * torch.randn(len(parents), c.children, 3, generator=self.random).to(offsets)
            offsets = offsets + normal @ params["slopes"][parents].mT
            turned = in_frames(params["lobe_quats"][parents], params["lobe_scales"][parents].exp(), normal)
            values |= {
                "directions": params["directions"][rows] + turned.flatten(0, 1),
                "lobe_scales": params["lobe_scales"][rows] - smaller,
                "slopes": params["slopes"][rows] / c.shrink,
            }
        return Clone(rows, {**values, "means": params["means"][rows] + offsets.flatten(0, 1)})
