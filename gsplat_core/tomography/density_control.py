"""Which Gaussians of a density field multiply, and which are removed (Zha et al. 2024, "R2-Gaussian").

As in 3DGS, where the loss keeps pulling at the centre of a projected Gaussian, detail is missing. But what is
kept is the density: a small one is cloned, and both have half of it; a large one is split into two of half
the density.
Those that hardly attenuate, or that have left the volume, are removed. Nothing is ever reset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Edit, Prune, Reset, Split
from gsplat_core.densify.rows import foremost, indices, offsets_within
from gsplat_core.densify.strategy import SceneView, Strategy
from gsplat_core.densify.stretching import point_in_time, refinement_interval
from gsplat_core.ranges import COUNT, INTERVAL, NOT_NEGATIVE, POSITIVE, SEED, STEP, check_ranges
from gsplat_core.tomography.field import FIELDS, SIZE
from gsplat_core.tomography.scanner import Scanner


@dataclass(frozen=True)
class DensityControlConfig:
    """The defaults are those published, for 30,000 steps.

    Args:
        gradient_threshold: mean length of the gradient of a projected centre, in normalised device units as
            in 3DGS, above which a Gaussian multiplies.
        split_scale: Gaussians wider than this share of the volume are split, others cloned.
        split_shrink: children have the standard deviations of their parent divided by this.
        prune_density: Gaussians of less are removed.
        refine_start, refine_stop, refine_every: refine at the multiples of `refine_every` strictly between.
        max_gaussians: never grow beyond this number.
        seed: of the places of children.
    """

    gradient_threshold: Annotated[float, POSITIVE] = 5e-5
    split_scale: Annotated[float, POSITIVE] = 0.1
    split_shrink: Annotated[float, POSITIVE] = 1.6
    prune_density: Annotated[float, NOT_NEGATIVE] = 1e-5
    refine_start: Annotated[int, STEP] = 500
    refine_stop: Annotated[int, STEP] = 15_000
    refine_every: Annotated[int, INTERVAL] = 100
    max_gaussians: Annotated[int, COUNT] = 500_000
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> DensityControlConfig:
        """The same schedule for a run `factor` times as long."""
        return replace(
            self,
            refine_start=point_in_time(self.refine_start, factor),
            refine_stop=point_in_time(self.refine_stop, factor),
            refine_every=refinement_interval(self.refine_every, factor),
        )


class DensityControl(Strategy):
    """Edits of the raw parameters of `tomography/field.py`, inside [-1, 1]^3."""

    def __init__(self, config: DensityControlConfig) -> None:
        super().__init__(config.seed)
        self.config = config
        self.initialize(0, "cpu")

    def initialize(self, num: int, device: torch.device | str) -> None:
        self.rows = {"gradient_sum": torch.zeros(num, device=device), "seen": torch.zeros(num, device=device)}

    @torch.no_grad()
    def on_projection(self, gradient: Tensor, means: Tensor, scanner: Scanner) -> None:
        """Takes in the gradient [N, 3] of one projection's loss by the centres [N, 3].

        By a projected centre it is that across the ray, times the length that a pixel sees there.
        """
        viewmat, K = scanner.viewmats[0].to(means), scanner.Ks[0].to(means)
        local = gradient @ viewmat[:3, :3].T
        if scanner.beam == "cone":
            local = local * (means @ viewmat[2, :3] + viewmat[2, 3])[:, None]
        halves = means.new_tensor([scanner.width / 2, scanner.height / 2])
        pulls = (local[:, :2] / K.diagonal()[:2] * halves).norm(dim=1)
        self.rows["gradient_sum"] += pulls
        self.rows["seen"] += pulls > 0

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        c = self.config
        if not c.refine_start < step < c.refine_stop or step % c.refine_every:
            return []
        self.check_rows(view.num)
        means, raw_scales, raw = view.params["means"], view.params["scales"], view.params["densities"]
        density, scales = FIELDS["densities"].value(raw), FIELDS["scales"].value(raw_scales)
        outside = (means.abs() > SIZE / 2).any(dim=1)
        pull = self.rows["gradient_sum"] / self.rows["seen"].clamp(min=1)
        prune = (density < c.prune_density) | outside | ~pull.isfinite()
        hot = indices((pull > c.gradient_threshold) & ~prune & (density / 2 > c.prune_density))
        hot = foremost(hot, pull, max(c.max_gaussians - view.num + int(prune.sum()), 0))
        large = scales[hot].amax(dim=1) > c.split_scale * SIZE
        clone, split = hot[~large], hot[large]
        half = FIELDS["densities"].raw(density / 2)
        offsets = offsets_within(view.params["quats"][split], scales[split], 2, self.random)
        children = {
            "means": means[split][:, None] + offsets,
            "scales": FIELDS["scales"].raw(scales[split] / c.split_shrink)[:, None].expand(-1, 2, -1),
            "densities": half[split][:, None].expand(-1, 2),
        }
        self.initialize(view.num, means.device)
        halves = {"densities": half[clone]}
        return [Prune(indices(prune)), Clone(clone, halves), Reset(clone, halves), Split(split, children)]
