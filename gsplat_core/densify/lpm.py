"""Localized point management (Yang et al. 2024, "Localized Gaussian Point Management"), over any strategy.

Growth by mean gradients misses places that few views see badly. This plug-in looks for them: regions of a
view where the rendering is wrong, their counterparts in a neighbouring view by correspondences, and from both
the zones of the scene that they show. In a zone,

- Gaussians multiply more readily (at half the threshold over ADC, with twice the probability over MCMC); over
  ADC as many of the least opaque ones are removed as were added for that reason only;
- a zone that holds nothing gets a Gaussian at its centre, a copy of the nearest one;
- what stands between the camera and the zone and is opaque is made transparent, so that it has to prove
  itself.

Where the paper's text and code differ or leave a choice: neighbouring views are those whose optical axes
differ by less than `angle`; without a zone the strategy behind goes on as usual; pairs of rays that are
parallel or meet behind a camera are left out, and zones larger than the scene extent; opacities that are
lowered lose their moments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Edit, Reset
from gsplat_core.densify.error_regions import error_map, error_regions
from gsplat_core.densify.matchers import Matcher
from gsplat_core.densify.matchers import create as create_matcher
from gsplat_core.densify.plan import compile_edits
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.rows import finite_rows, indices
from gsplat_core.densify.strategy import Guidance, RenderStats, SceneView, Strategy
from gsplat_core.densify.stretching import SHORT_RUN, point_in_time, refinement_interval
from gsplat_core.densify.two_views import axis, center
from gsplat_core.densify.views import Views
from gsplat_core.densify.zones import Zones, bounding_box, in_front, inside_sphere, union, zone
from gsplat_core.ops.neighbors import knn
from gsplat_core.ranges import BETWEEN_0_AND_1, SEED, SOME_SHARE, STEP, Range, check_ranges


@dataclass(frozen=True)
class LPMConfig:
    """The defaults are those of the paper's code for 30 000 iterations.

    Args:
        start, stop: iterations strictly between which zones are sought, when the strategy behind grows and at
            calibrations.
        calibrate_every: lower opacities in front of zones at the multiples of this; 0 never.
        matcher: "tracks", "depth" or "both" (`gsplat_core.densify.matchers`).
        angle: degrees; neighbours are views whose axes differ by less.
        neighbors: how many of them each view has, chosen once at random.
        error_quantile, significant: which pixels and blocks are wrong (`error_regions`).
        threshold_ratio: in zones the need to multiply is divided by this.
        balance: remove as many Gaussians as zones alone added.
        fill: add a Gaussian to zones that hold none.
        opaque_share: in front of a zone, those at least as opaque as this share of the zone's own are lowered
            ...
        calibrated_opacity: ... to this opacity.
        seed: of the choice of neighbours.

    Raises:
        ValueError: a value outside its range.
    """

    start: Annotated[int, STEP] = 500
    stop: Annotated[int, STEP] = 15_000
    calibrate_every: Annotated[int, STEP] = 100
    matcher: str = "tracks"
    angle: Annotated[float, Range(0, 360, "least")] = 45.0
    neighbors: Annotated[int, Range(1, 10_000)] = 3
    error_quantile: Annotated[float, BETWEEN_0_AND_1] = 0.4
    significant: Annotated[float, BETWEEN_0_AND_1] = 0.85
    threshold_ratio: Annotated[float, SOME_SHARE] = 0.5
    balance: bool = True
    fill: bool = True
    opaque_share: Annotated[float, BETWEEN_0_AND_1] = 0.7
    calibrated_opacity: Annotated[float, BETWEEN_0_AND_1] = 0.01
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)
        create_matcher(self.matcher)

    def stretched(self, factor: float) -> LPMConfig:
        """The same schedule for a run `factor` times as long.

        Short runs have no calibrations: like resets, they cost quality first.
        """
        every = self.calibrate_every if factor >= SHORT_RUN else 0
        return replace(
            self,
            start=point_in_time(self.start, factor),
            stop=point_in_time(self.stop, factor),
            calibrate_every=refinement_interval(every, factor) if every else 0,
        )


class LPM(Plugin):
    """The plug-in; see the module.

    Args:
        base: the strategy behind.
        config: settings.
        matcher: another source of correspondences than `config.matcher` names.
    """

    def __init__(
        self, base: Strategy, config: LPMConfig | None = None, matcher: Matcher | None = None
    ) -> None:
        self.config = LPMConfig() if config is None else config
        super().__init__(base, self.config.seed)
        self.matcher = create_matcher(self.config.matcher) if matcher is None else matcher
        self._regions: tuple[int, Tensor, Tensor] | None = None  # of this iteration: view, boxes, image size

    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Notes where this iteration's first view is wrong, if it is needed."""
        super().on_backward(step, stats)
        self._regions = None
        if not (self._calibrates_at(step) or self._adds_at(step)):
            return
        photographs = stats.photographs
        if stats.images is None or photographs is None or stats.views is None:
            raise ValueError("LPM needs RenderStats.images, .targets and .views")
        c = self.config
        errors = error_map(stats.images[0], photographs[0]).cpu()
        mask = None if stats.masks is None else stats.masks[0].cpu()
        boxes = error_regions(errors, c.error_quantile, c.significant, mask=mask)
        self._regions = (stats.views[0], boxes, torch.tensor([stats.width, stats.height]))

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        regions, self._regions = self._regions, None
        if regions is None or not len(regions[1]):
            return super().on_step(step, view)
        if view.views is None:
            raise ValueError("LPM needs SceneView.views")
        zones = self._zones(view, view.views, *regions)
        edits = (
            self._grow(step, view, zones)
            if len(zones) and self._adds_at(step)
            else super().on_step(step, view)
        )
        if len(zones) and self._calibrates_at(step):
            edits += self._calibrate(view, zones, center(view.views.lens(regions[0])))
        return edits

    def _active(self, step: int) -> bool:
        return self.config.start < step < self.config.stop

    def _adds_at(self, step: int) -> bool:
        return self._active(step) and self.grows_at(step)

    def _calibrates_at(self, step: int) -> bool:
        every = self.config.calibrate_every
        return self._active(step) and every > 0 and step % every == 0

    def _zones(self, view: SceneView, views: Views, number: int, boxes: Tensor, size: Tensor) -> Zones:
        """One for each region that has correspondences in a neighbouring view, drawn at random."""
        neighbors = self._neighbors(views, number)
        second = neighbors[int(torch.randint(len(neighbors), (1,), generator=self.random))]
        pixels, partners = self.matcher.match(views, view.params, number, second)
        lens, other = views.lens(number), views.lens(second)
        boxes = boxes * (torch.tensor([lens.width, lens.height]) / size).repeat(2)
        found = []
        for box in boxes:
            matched = ((pixels >= box[:2]) & (pixels < box[2:])).all(dim=1)
            if bool(matched.any()):
                here, there = bounding_box(pixels[matched]), bounding_box(partners[matched])
                found.append(zone(lens, here, other, there, view.scene_extent))
        return union(found)

    def _neighbors(self, views: Views, number: int) -> list[int]:
        """Views that look in a similar direction; the view itself if there is none, which makes no zone."""
        axes = torch.stack([axis(views.lens(i)) for i in range(len(views))])
        near = axes @ axes[number] > math.cos(math.radians(self.config.angle))
        near[number] = False
        candidates = indices(near)
        if not len(candidates):
            return [number]
        # A function of seed and view, so that it is chosen once and for all without a state.
        random = torch.Generator().manual_seed(self.config.seed * 1_000_003 + number)
        order = torch.randperm(len(candidates), generator=random)
        return [int(row) for row in candidates[order[: self.config.neighbors]]]

    def _grow(self, step: int, view: SceneView, zones: Zones) -> list[Edit]:
        """The growth of the strategy behind, more readily in zones."""
        means, guidance = view.params["means"], view.guidance
        inside = zones.contain(means)
        need = self.base.need(view)
        if self.config.balance and need is not None:
            guidance = self._balanced(view, need, inside)
        guidance = guidance.also(eagerness=torch.where(inside, 1 / self.config.threshold_ratio, 1.0))
        edits = self.base.on_step(step, replace(view, guidance=guidance))
        if self.config.fill:
            edits += self._fill(view, zones, compile_edits(edits, view.num, means.device).num_after)
        return edits

    def _balanced(self, view: SceneView, need: Tensor, inside: Tensor) -> Guidance:
        """The least opaque Gaussians leave, as many as need to multiply only because they are in zones.

        Where there is a limit, the room goes to those that need it most, in zones with their need counted
        more: who is in a zone and just over its threshold has less claim than others far over theirs.
        """
        guidance = view.guidance
        if guidance.eagerness is not None:
            need = need * guidance.eagerness
        for_zones = view.free & inside & (need < 1) & (need >= self.config.threshold_ratio)
        settled = indices(view.free & ~for_zones & (need < 1))
        least_opaque = settled[view.params["opacities"][settled].argsort(stable=True)]
        leaving = torch.zeros_like(inside)
        leaving[least_opaque[: int(for_zones.sum())]] = True
        return guidance.also(leaving=leaving)

    def _fill(self, view: SceneView, zones: Zones, num: int) -> list[Edit]:
        """A Gaussian at the centre of each zone that holds none, in the limit; there are `num` already."""
        means = view.params["means"]
        usable = indices(finite_rows(view.params) & view.free)
        empty = [
            index
            for index in range(len(zones))
            if len(usable)
            and not bool(Zones(zones.lower[index, None], zones.upper[index, None]).contain(means).any())
        ]
        limit = view.guidance.also(limit=self.most).limit
        if limit is not None:
            empty = empty[: max(limit - num, 0)]
        if not empty:
            return []
        places = zones.centers[empty].to(means)
        nearest = usable[knn(means.detach()[usable], 1, places)[0][:, 0]]
        size = zones.radii[empty].to(means).clamp(min=1e-12).log()[:, None].expand(-1, 3)
        return [
            Clone(nearest, {"means": places, "scales": torch.minimum(size, view.params["scales"][nearest])})
        ]

    def _calibrate(self, view: SceneView, zones: Zones, camera: Tensor) -> list[Edit]:
        """Makes transparent what stands in front of zones and is as opaque as what is in them."""
        means, opacities = view.params["means"], view.params["opacities"]
        lowered = torch.zeros(view.num, dtype=torch.bool, device=means.device)
        for index in range(len(zones)):
            own = opacities[inside_sphere(zones, index, means)]
            count = math.floor(self.config.opaque_share * len(own))
            if count:
                threshold = own.topk(count).values[-1]
                lowered |= in_front(zones, index, camera, means) & (opacities >= threshold)
        rows = indices(lowered)
        ceiling = view.logits_of(self.config.calibrated_opacity)
        return [Reset(rows, {"opacities": opacities[rows].minimum(ceiling[rows])})]
