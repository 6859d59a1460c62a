"""The density control of Scaffold-GS (Lu et al. 2024, section 3.3), for scenes of anchors
(`models/scaffold.py`).

Where images keep pulling at the projected centre of an anchor's splat, detail is missing: an anchor of its
own starts there, if the voxel is empty. This is asked at three levels: the larger the voxels, the smaller the
pull that is enough. A voxel's new anchor has of each feature the largest of the anchors whose splats asked
for it. Anchors whose splats together are hardly opaque go. The volume of splats is a term of the loss, so
that they stay small and overlap little.

Pulls are averaged over the steps in which a splat is drawn, opacities over those in which its anchor is
decoded; both start anew where they were asked about. Anchors never move.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Edit, Prune
from gsplat_core.densify.plan import RowPlan
from gsplat_core.densify.refining import Refining
from gsplat_core.densify.rows import finite_rows, foremost, indices
from gsplat_core.densify.strategy import RenderStats, ScaleRule, SceneView
from gsplat_core.densify.stretching import point_in_time, refinement_interval
from gsplat_core.models.scaffold import DROPPED, SPLATS, Lattice
from gsplat_core.ranges import (
    COUNT,
    INTERVAL,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    SHARE,
    STEP,
    Range,
    check_ranges,
)
from gsplat_core.scene.scale import PUBLISHED_LENGTH


@dataclass(frozen=True)
class ScaffoldConfig:
    """Settings as published for a run of 30,000 iterations.

    Args:
        gradient_threshold: mean length of the gradient of a splat's projected centre (as in ADC), above which
            an anchor starts there at the coarsest level; twice as much at each finer one.
        levels: how many.
        coarsest: voxels of the coarsest level, in the scene's own (`Shared` "voxel") ...
        finer: ... and by which factor they shrink from level to level.
        share: at level m a splat that is pulled enough is passed over with probability share^(m + 1).
        often: splats count that were drawn in more than half of this share of the steps between two
            refinements, anchors that were decoded in more than this share.
        prune_opacity: anchors whose splats' opacities sum to less than this on average are removed.
        volume: weight in the loss of the mean product of a splat's three scales.
        count_start: from which step on splats and anchors are counted.
        refine_start, refine_stop, refine_every: refine at the multiples of `refine_every` strictly between.
        scale: which length of the scene learning rates are in proportion to ("seen" or "published").
        max_gaussians: never grow beyond this number of anchors.
        seed: of what is passed over.

    Raises:
        ValueError: a value outside its range.
    """

    gradient_threshold: Annotated[float, POSITIVE] = 2e-4
    levels: Annotated[int, Range(1, 16)] = 3
    coarsest: Annotated[int, Range(1, 4096)] = 16
    finer: Annotated[int, Range(1, 64)] = 4
    share: Annotated[float, SHARE] = 0.5
    often: Annotated[float, SHARE] = 0.8
    prune_opacity: Annotated[float, NOT_NEGATIVE] = 0.005
    volume: Annotated[float, NOT_NEGATIVE] = 0.01
    count_start: Annotated[int, STEP] = 500
    refine_start: Annotated[int, STEP] = 1500
    refine_stop: Annotated[int, STEP] = 15_000
    refine_every: Annotated[int, INTERVAL] = 100
    scale: ScaleRule = "seen"
    max_gaussians: Annotated[int, COUNT] | None = None
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> ScaffoldConfig:
        """The same schedule for a run `factor` times as long; see `densify/stretching.py`."""
        return replace(
            self,
            count_start=point_in_time(self.count_start, factor),
            refine_start=point_in_time(self.refine_start, factor),
            refine_stop=point_in_time(self.refine_stop, factor),
            refine_every=refinement_interval(self.refine_every, factor),
        )

    def voxels(self, level: int) -> int:
        """The side of a level's voxels, in the scene's own."""
        return max(self.coarsest // self.finer**level, 1)


class Scaffold(Refining[ScaffoldConfig]):
    """The strategy; see the module."""

    changes = frozenset({"features", "offsets", "offset_scales", "scales"})

    def __init__(self, config: ScaffoldConfig | None = None) -> None:
        self.config = ScaffoldConfig() if config is None else config
        super().__init__(self.config.seed)
        self._told: tuple[Tensor, Tensor] | None = None
        self.initialize(0, "cpu")

    def initialize(self, num: int, device: torch.device | str) -> None:
        """Forgets all that was counted, and expects `num` anchors from now on."""
        self.rows = {
            "pulls": torch.zeros(num, SPLATS, device=device),
            "drawn": torch.zeros(num, SPLATS, device=device),
            "opacity": torch.zeros(num, device=device),
            "decoded": torch.zeros(num, device=device),
        }

    def regularization(self, splats: Mapping[str, Tensor], view: SceneView) -> Tensor | None:
        """The mean volume of the splats that are drawn, in a scene as large as those of the publication.
        Keeps what is told of the splats for `on_backward`."""
        opacities, scales = splats["opacities"], splats["scales"]
        self._told = opacities.detach(), scales.detach()
        if not self.config.volume:
            return None
        x, y, z = (scales * (PUBLISHED_LENGTH / view.scene_extent)).unbind(dim=1)
        drawn = opacities.detach() > 0
        return self.config.volume * (x * y * z * drawn).sum() / drawn.sum().clamp(min=1)

    @torch.no_grad()
    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Adds the pulls of the splats that each view shows, and the opacities of anchors.

        Raises:
            ValueError: these are the splats of another number of anchors, or nobody asked for the
                regularization of this step before.
        """
        told, self._told = self._told, None
        if not self.config.count_start < step < self.config.refine_stop:
            return
        if told is None:
            raise ValueError("regularization() sees the splats of a step, and was not asked before")
        num = self._check_splats(stats.radii.shape[1])
        for camera in range(len(stats.radii)):
            drawn = stats.radii[camera, :, 0] > 0
            self.rows["pulls"] += torch.where(drawn, stats.pulls(camera), 0).view(num, SPLATS)
            self.rows["drawn"] += drawn.view(num, SPLATS)
        opacities, scales = (values.unflatten(0, (num, SPLATS)) for values in told)
        self.rows["opacity"] += opacities.sum(dim=1)
        self.rows["decoded"] += scales[:, 0, 0] > 0

    def _check_splats(self, count: int) -> int:
        """How many anchors there are, of which these are all splats."""
        num = len(self.rows["decoded"])
        if count != num * SPLATS:
            raise ValueError(f"statistics of {count} splats, but {num} anchors have {num * SPLATS}")
        return num

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        """New anchors and removal where the schedule has them, else nothing."""
        c, rows = self.config, self.rows
        if not self.grows_at(step):
            return []
        self.check_rows(view.num)
        leaving = ~finite_rows(view.params)
        if view.guidance.leaving is not None:
            leaving |= view.guidance.leaving
        known = rows["decoded"] > c.often * c.refine_every
        faint = known & (rows["opacity"] < c.prune_opacity * rows["decoded"])
        gone = (faint | leaving) & view.free
        often = rows["drawn"] > 0.5 * c.often * c.refine_every
        need = (rows["pulls"] / rows["drawn"].clamp(min=1)).nan_to_num(0, 0, 0)
        need = need.masked_fill(~often | (leaving | ~view.free)[:, None], 0)
        limit = view.guidance.also(limit=c.max_gaussians).limit
        room = None if limit is None else max(limit - view.num + int(gone.sum()), 0)
        edits: list[Edit] = [Prune(indices(gone)), *self._anchors(need, room, view)]
        rows["pulls"] = rows["pulls"].masked_fill(often, 0)
        rows["drawn"] = rows["drawn"].masked_fill(often, 0)
        rows["opacity"] = rows["opacity"].masked_fill(known, 0)
        rows["decoded"] = rows["decoded"].masked_fill(known, 0)
        return edits

    def _anchors(self, need: Tensor, room: int | None, view: SceneView) -> list[Edit]:
        """New anchors, each as a copy of one of those whose splats asked for it.

        Args:
            need: [N, K] mean pulls.
            room: for how many there is room; None: for any number.
        """
        c, params = self.config, view.params
        lattice = Lattice.of(view.shared)
        anchors = lattice.knots(params["means"])
        shifts = params["offsets"] * params["offset_scales"].exp()[:, None]
        places = anchors[:, None] + (shifts / lattice.voxel).to(anchors)
        edits: list[Edit] = []
        for level in range(c.levels):
            passed = torch.rand(need.shape, generator=self.random).to(need) < c.share ** (level + 1)
            asks = (need >= c.gradient_threshold * 2**level) & ~passed
            side = c.voxels(level)
            found = _in_empty_voxels(places[asks], anchors, side)
            if not len(found.knots):
                continue
            sources = asks.nonzero()[found.askers, 0]
            pull = _largest(need[asks][found.askers], found)
            chosen = torch.arange(len(found.knots), device=need.device)
            if room is not None:
                chosen = foremost(chosen, pull, room).sort().values
                room -= len(chosen)
            knots = found.knots[chosen] * side
            anchors = torch.cat([anchors, knots])
            size = (side * lattice.voxel).log().expand(len(knots), 3)
            values = {
                "means": lattice.places(knots).to(params["means"]),
                "features": _largest(params["features"][sources], found)[chosen],
                "offsets": params["offsets"].new_zeros(len(knots), SPLATS, 3),
                "offset_scales": size,
                "scales": size,
                DROPPED: params["means"].new_zeros(len(knots)),
            }
            edits.append(Clone(_first(sources, found)[chosen], values))
        return edits

    def follow(self, plan: RowPlan) -> None:
        """New anchors start without having been seen."""
        super().follow(plan)
        for tensor in self.rows.values():
            tensor[plan.num_kept :] = 0


@dataclass(frozen=True, eq=False)
class _Found:
    """Empty voxels in which there are places.

    Args:
        knots: [V, 3] their middles, in sides.
        askers: [A] the places that are in them, ascending.
        voxels: [A] in which each is.
    """

    knots: Tensor
    askers: Tensor
    voxels: Tensor


def _in_empty_voxels(places: Tensor, anchors: Tensor, side: int) -> _Found:
    """
    Args:
        places, anchors: [P, 3], [N, 3] in the scene's voxels.
        side: of the voxels that are looked at.
    """
    knots = torch.cat([anchors, places]).div(side).round()
    distinct, which = torch.unique(knots, dim=0, return_inverse=True)
    there, wanted = which[: len(anchors)], which[len(anchors) :]
    empty = torch.ones(len(distinct), dtype=torch.bool, device=knots.device)
    empty[there] = False
    askers = indices(empty[wanted])
    chosen, voxels = wanted[askers].unique(return_inverse=True)
    return _Found(distinct[chosen], askers, voxels)


def _largest(values: Tensor, found: _Found) -> Tensor:
    """[V, ...] of values [A, ...] of those that ask, the largest in each voxel."""
    where = found.voxels.view(-1, *[1] * (values.dim() - 1)).expand_as(values)
    start = values.new_zeros(len(found.knots), *values.shape[1:])
    return start.scatter_reduce(0, where, values, "amax", include_self=False)


def _first(sources: Tensor, found: _Found) -> Tensor:
    """[V] the least of numbers [A] in each voxel."""
    start = sources.new_zeros(len(found.knots))
    return start.scatter_reduce(0, found.voxels, sources, "amin", include_self=False)
