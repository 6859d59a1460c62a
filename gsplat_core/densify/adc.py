"""Adaptive density control of 3D Gaussian splatting (Kerbl et al. 2023, section 5.2), and refinements of it.

Where the image keeps pulling at a Gaussian's projected centre, detail is missing: small Gaussians there are
cloned, large ones are split. Nearly transparent and oversized ones are pruned. Every few thousand iterations
all opacities are lowered, so that what the views do not need fades and is pruned.

Refinements, all off by default:
- `absgrad`: gradients are accumulated as absolute values per pixel, so that opposite pulls do not cancel
  (Ye et al. 2024, "AbsGS"). Raise `gradient_threshold` to about 8e-4 with it.
- `pixel_weighted`: in the mean over views, each view counts with the number of pixels that the Gaussian
  covers in it, so that large Gaussians, which many views see only at their borders, grow; and pulls near the
  camera count less, against floaters there (Zhang et al. 2024, "Pixel-GS", equations 6 to 9).
- `revised_opacity`: both members of a cloned pair and both children of a split get the opacity o' with
  1 - (1 - o')^2 = o, so that together they cover what one covered before (Rota Bulo et al. 2024).
- `gradients="space"`: those of the centres in space count, those along the ray included, whatever the
  distance from the camera (Blanc et al. 2025, "RayGauss").
- `threshold`: gradients are compared with each other or with those before, not with a fixed one, which has a
  meaning for one loss only (`densify/threshold.py`).
- `max_gaussians`: a cap, under which the Gaussians with the largest gradients grow first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.densify.edits import Clone, Edit, Prune, Reset, Split
from gsplat_core.densify.refining import Refining
from gsplat_core.densify.rows import finite_rows, indices, offsets_within
from gsplat_core.densify.strategy import RenderStats, ScaleRule, SceneView, Wants
from gsplat_core.densify.stretching import point_in_time, refinement_interval, reset_interval
from gsplat_core.densify.threshold import parse_threshold
from gsplat_core.ranges import BETWEEN_0_AND_1, COUNT, INTERVAL, POSITIVE, SEED, STEP, check_ranges


@dataclass(frozen=True)
class ADCConfig:
    """Thresholds and schedule; the defaults are those of 3DGS for 30 000 iterations.

    Iterations count from 1. A shorter run scales the schedule by giving other numbers.

    Args:
        gradient_threshold: mean length, over the views that see it, of the gradient of a Gaussian's projected
            centre, above which it is cloned or split. In normalised device units: the pixel gradient times
            half the image size, for a loss that is a mean over the pixels of one view.
        gradients: "image", those of projected centres, or "space", those of centres, of a loss in a scene of
            the length 1.
        threshold: "absolute", which is `gradient_threshold`; "top:q", so that the share q of those that may
            grow do; or "ema:k", k times the running mean of gradients.
        scale: sizes are fractions of the distance at which a Gaussian is seen ("seen"), or of the extent of
            the cameras ("published"), see `densify/strategy.py`.
        grow_scale: Gaussians up to this largest standard deviation are cloned, larger ones split.
        split_shrink: children have the standard deviations of their parent divided by this.
        prune_opacity: Gaussians less opaque than this are removed.
        prune_scale: Gaussians larger than this are removed ...
        prune_scale_start: ... at refinements after this iteration.
        refine_start, refine_stop, refine_every: refine at the multiples of `refine_every` strictly between.
        reset_every, reset_opacity: at the multiples of `reset_every` before `refine_stop` opacities are
            lowered to at most `reset_opacity`.
        white_background: also lower them at `refine_start` (as 3DGS does for scenes on white).
        absgrad: ask for absolute gradients.
        pixel_weighted: weight views by the pixels covered.
        near: with `pixel_weighted`, gradients of Gaussians nearer to the camera than this fraction of the
            scene extent shrink with the square of the distance.
        revised_opacity: keep the joint opacity of clones and children.
        max_gaussians: never grow beyond this number; the Gaussians with the largest gradients grow first.
        seed: of the positions of children.

    Raises:
        ValueError: a value outside its range.
    """

    gradient_threshold: Annotated[float, POSITIVE] = 2e-4
    gradients: Literal["image", "space"] = "image"
    threshold: str = "absolute"
    scale: ScaleRule = "seen"
    grow_scale: Annotated[float, POSITIVE] = 0.01
    split_shrink: Annotated[float, POSITIVE] = 1.6
    prune_opacity: Annotated[float, BETWEEN_0_AND_1] = 0.005
    prune_scale: Annotated[float, POSITIVE] = 0.1
    prune_scale_start: Annotated[int, STEP] = 3000
    refine_start: Annotated[int, STEP] = 500
    refine_stop: Annotated[int, STEP] = 15_000
    refine_every: Annotated[int, INTERVAL] = 100
    reset_every: Annotated[int, INTERVAL] = 3000
    reset_opacity: Annotated[float, BETWEEN_0_AND_1] = 0.01
    white_background: bool = False
    absgrad: bool = False
    pixel_weighted: bool = False
    near: Annotated[float, POSITIVE] = 0.37
    revised_opacity: bool = False
    max_gaussians: Annotated[int, COUNT] | None = None
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)
        parse_threshold(self.threshold, self.gradient_threshold)

    def stretched(self, factor: float) -> ADCConfig:
        """The same schedule for a run `factor` times as long; see `densify/stretching.py`."""
        stop = point_in_time(self.refine_stop, factor)
        return replace(
            self,
            refine_start=point_in_time(self.refine_start, factor),
            refine_stop=stop,
            refine_every=refinement_interval(self.refine_every, factor),
            reset_every=reset_interval(self.reset_every, factor, stop),
            prune_scale_start=point_in_time(self.prune_scale_start, factor),
        )


class ADC(Refining[ADCConfig]):
    """The strategy; see the module."""

    def __init__(self, config: ADCConfig | None = None) -> None:
        self.config = ADCConfig() if config is None else config
        super().__init__(self.config.seed)
        self._threshold = parse_threshold(self.config.threshold, self.config.gradient_threshold)
        self.initialize(0, "cpu")

    def initialize(self, num: int, device: torch.device | str) -> None:
        """Forgets all statistics and expects `num` Gaussians from now on."""
        self.numbers = dict(self._threshold.memory)
        self._count_anew(num, device)

    def _count_anew(self, num: int, device: torch.device | str) -> None:
        self.rows = {
            "gradient_sum": torch.zeros(num, device=device),
            "seen": torch.zeros(num, device=device),
        }

    def wants(self, step: int) -> Wants:
        c = self.config
        return Wants(absgrad=c.absgrad, weights=c.pixel_weighted) if step < c.refine_stop else Wants()

    @torch.no_grad()
    def on_backward(self, step: int, stats: RenderStats) -> None:
        """Adds the gradient lengths of the views that see each Gaussian."""
        if step >= self.config.refine_stop:
            return
        self.check_rows(stats.radii.shape[1])
        for camera in range(len(stats.radii)):
            in_space = self.config.gradients == "space"
            lengths = stats.pulls_in_space() if in_space else stats.pulls(camera)
            visible = stats.radii[camera, :, 0] > 0
            if self.config.pixel_weighted:
                pixels, depths = self._pixels_and_depths(camera, stats)
                lengths *= pixels * self._nearness(depths, stats.scene_extent)
                self.rows["seen"] += torch.where(visible, pixels, 0)
            else:
                self.rows["seen"] += visible
            self.rows["gradient_sum"] += torch.where(visible, lengths, 0)

    def _pixels_and_depths(self, camera: int, stats: RenderStats) -> tuple[Tensor, Tensor]:
        if stats.weights is None or stats.depths is None:
            raise ValueError("ADC with pixel_weighted needs RenderStats.weights and .depths")
        return stats.weights[camera, :, 2], stats.depths[camera]

    def _nearness(self, depths: Tensor, scene_extent: float) -> Tensor:
        """Pixel-GS, equation 9: (depth / near)^2, at most 1."""
        return (depths / (self.config.near * scene_extent)).square().clamp(max=1)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        """Refinement and opacity reset where the schedule has them, else nothing."""
        c = self.config
        if step >= c.refine_stop:
            return []
        self.check_rows(view.num)
        reset = step % c.reset_every == 0 or (c.white_background and step == c.refine_start)
        opacities = view.params["opacities"]
        ceiling = view.logits_of(c.reset_opacity) if reset else None
        edits: list[Edit] = []
        if self.grows_at(step):
            edits = self._refine(step, view, ceiling)
            self.numbers = self._threshold.remembered(self._ranked(view), self.numbers)
            self._count_anew(view.num, opacities.device)
        if ceiling is not None:
            # In front: the opacity of a clone's original, which may be lower still, has the last word.
            edits.insert(0, Reset(None, {"opacities": opacities.minimum(ceiling)}))
        return edits

    def need(self, view: SceneView) -> Tensor:
        """Mean gradient as a multiple of the threshold; 0 where there is none that is finite."""
        free = int(view.free.sum())
        return self._gradients() / self._threshold.value(self._ranked(view), free, self.numbers)

    def divides(self, view: SceneView) -> Tensor:
        """Those larger than `grow_scale` allows clones to be."""
        sizes = view.params["scales"].detach().amax(dim=1).exp()
        return sizes > self.config.grow_scale * view.reach(self.config.scale)

    def _gradients(self) -> Tensor:
        """[N] means over the views that see a Gaussian; 0 where there is none that is finite."""
        gradient = self.rows["gradient_sum"] / self.rows["seen"].clamp(min=1)
        return gradient.nan_to_num(0, 0, 0)

    def _ranked(self, view: SceneView) -> Tensor:
        """[M] those of Gaussians that have one and may grow."""
        gradients = self._gradients()
        return gradients[(gradients > 0) & view.free]

    def _refine(self, step: int, view: SceneView, ceiling: Tensor | None) -> list[Edit]:
        c = self.config
        reach = view.reach(c.scale)
        opacities = sigmoid(view.params["opacities"])
        sizes = view.params["scales"].amax(dim=1).exp()
        shared = 1 - (1 - opacities).sqrt() if c.revised_opacity else opacities  # opacity of a clone or child

        def superfluous(opacity: Tensor, size: Tensor) -> Tensor:
            oversized = size > c.prune_scale * reach
            return (opacity < c.prune_opacity) | (oversized if step > c.prune_scale_start else False)

        guidance = view.guidance
        finite = finite_rows(view.params)
        need = self.need(view)
        if guidance.eagerness is not None:
            need = need * guidance.eagerness
        stays = finite if guidance.leaving is None else finite & ~guidance.leaving
        hot = (need >= 1) & stays & view.free
        large = self.divides(view)
        # What would be pruned at once is not made; children of an oversized parent may be small enough to
        # stay.
        clone = hot & ~large & ~superfluous(shared, sizes)
        split = hot & large & ~superfluous(shared, sizes / c.split_shrink)
        prune = (superfluous(opacities, sizes) | ~stays) & view.free
        limit = guidance.also(limit=c.max_gaussians).limit
        if limit is not None:
            order = need if guidance.order is None else guidance.order
            clone, split = _within_budget(limit, order, clone, split, prune)
        edits: list[Edit] = [Prune(indices(prune & ~split))]
        edits += self._clones(view.params, indices(clone), ceiling)
        edits += self._children(view.params, indices(split), ceiling)
        return edits

    def _clones(self, params: Mapping[str, Tensor], rows: Tensor, ceiling: Tensor | None) -> list[Edit]:
        own = None if ceiling is None else ceiling[rows]
        values = {"opacities": self._inherited_opacity(params["opacities"][rows], own)}
        edits: list[Edit] = [Clone(rows, values)]
        if self.config.revised_opacity:
            edits.append(Reset(rows, values))
        return edits

    def _children(self, params: Mapping[str, Tensor], rows: Tensor, ceiling: Tensor | None) -> list[Edit]:
        """Two children each, at random places drawn from the parent as a normal distribution."""
        means, scales = params["means"][rows], params["scales"][rows]
        offsets = offsets_within(params["quats"][rows], scales.exp(), 2, self.random)
        own = None if ceiling is None else ceiling[rows]
        opacity = self._inherited_opacity(params["opacities"][rows], own)
        shrink = scales.new_tensor(self.config.split_shrink).log()
        values = {
            "means": means[:, None, :] + offsets,
            "scales": (scales - shrink)[:, None, :].expand(-1, 2, -1),
            "opacities": opacity[:, None].expand(-1, 2),
        }
        return [Split(rows, values)]

    def _inherited_opacity(self, logits: Tensor, ceiling: Tensor | None) -> Tensor:
        if self.config.revised_opacity:
            # With r = sqrt(1 - o), the logit of o' = 1 - r is log((1 - r) / r): exact near 0 and 1 too.
            log_r = 0.5 * torch.nn.functional.logsigmoid(-logits)
            logits = torch.log(-torch.expm1(log_r)) - log_r
        return logits if ceiling is None else logits.minimum(ceiling)


def _within_budget(
    budget: int, order: Tensor, clone: Tensor, split: Tensor, prune: Tensor
) -> tuple[Tensor, Tensor]:
    """The clones and splits, those high in `order` first, with which a scene has at most `budget` rows."""
    # A split of a Gaussian that goes anyway brings two more, every other growth one.
    cost = clone.long() + split.long() + (split & prune).long()
    room = budget - int((~prune).sum())
    queue = order.masked_fill(cost == 0, -torch.inf).argsort(descending=True, stable=True)
    affordable = torch.zeros_like(clone)
    affordable[queue] = cost[queue].cumsum(0) <= room
    return clone & affordable, split & affordable
