"""New Gaussians where photographs are not reproduced, over any strategy.

Strategies multiply what is there. Where the reconstruction has no points, on a forest from the air or a lamp
post in
front of a house, what is there is a few huge Gaussians: no gradient tells them apart, and their copies are
as huge. So this plug-in looks at some photographs at each refinement, finds the pixels that differ most from
the rendering, and puts small Gaussians there, in the photograph's colour, at the depth of what is rendered.
What was put wrongly fades or is moved by the strategy behind. The idea is that of error-based densification
(Rota Bulo et al. 2024, "Revising Densification in Gaussian Splatting"), which asks Gaussians for their error,
turned
round: the photographs are asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.densify.edits import Clone, Edit, Reset
from gsplat_core.densify.plan import compile_edits
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.rows import draw, finite_rows, indices
from gsplat_core.densify.strategy import SceneView, Strategy
from gsplat_core.densify.stretching import point_in_time
from gsplat_core.densify.two_views import center, rays
from gsplat_core.densify.views import Views
from gsplat_core.ops.neighbors import knn
from gsplat_core.ranges import BETWEEN_0_AND_1, POSITIVE, SEED, STEP, Range, check_ranges
from gsplat_core.scene.harmonics import sh0_of

# Pixels around one that say whether it is wrong: noise and a shift by a pixel are not.
_WINDOW = 5


@dataclass(frozen=True)
class SeedingConfig:
    """Args:
        start, stop: iterations strictly between which there are seeds, whenever the strategy behind grows.
        views: how many photographs are looked at each time, drawn at random.
        share: seeds each time, at most this share of the Gaussians.
        error: a pixel is wrong if the mean difference of colours around it is larger than this, of 1 ...
        contrast: ... and than so many times the median of its photograph's.
        spacing: pixels between two seeds.
        size: standard deviation of a seed in pixels.
        opacity: of a seed.
        faint: at a cap, Gaussians up to this opacity give way to seeds.
        seed: of the choice of photographs and pixels.

    Raises:
        ValueError: a value outside its range.
    """

    start: Annotated[int, STEP] = 500
    stop: Annotated[int, STEP] = 15_000
    views: Annotated[int, Range(1, 1_000_000)] = 4
    share: Annotated[float, POSITIVE] = 0.05
    error: Annotated[float, POSITIVE] = 0.05
    contrast: Annotated[float, POSITIVE] = 1.5
    spacing: Annotated[float, POSITIVE] = 3.0
    size: Annotated[float, POSITIVE] = 1.5
    opacity: Annotated[float, BETWEEN_0_AND_1] = 0.3
    faint: Annotated[float, BETWEEN_0_AND_1] = 0.05
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> SeedingConfig:
        """The same schedule for a run `factor` times as long."""
        return replace(self, start=point_in_time(self.start, factor), stop=point_in_time(self.stop, factor))


class Seeding(Plugin):
    """The plug-in; see the module."""

    def __init__(self, base: Strategy, config: SeedingConfig | None = None) -> None:
        self.config = SeedingConfig() if config is None else config
        super().__init__(base, self.config.seed)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        c = self.config
        if not (c.start < step < c.stop and self.grows_at(step)):
            return super().on_step(step, view)
        if view.views is None:
            raise ValueError("seeding needs SceneView.views")
        seeds = self._seeds(view, view.views)
        count = len(seeds["opacities"])
        limit = view.guidance.also(limit=self.most).limit
        if limit is not None:
            # Seeds go before copies of what is there.
            view = replace(view, guidance=view.guidance.also(limit=max(limit - count, 0)))
        edits = super().on_step(step, view)
        after = compile_edits(edits, view.num, view.params["means"].device).num_after
        added = count if limit is None else max(min(limit - after, count), 0)
        return [*edits, *self._placed(view, seeds, added)]

    def _placed(self, view: SceneView, seeds: Mapping[str, Tensor], added: int) -> list[Edit]:
        """So many of the seeds as new rows, the others in the rows of the faintest."""
        rest = len(seeds["opacities"]) - added
        opacities = view.params["opacities"].detach()
        limit = math.log(self.config.faint / (1 - self.config.faint))
        faint = indices(view.free & (opacities <= limit))
        faintest = faint[opacities[faint].argsort(stable=True)][:rest]
        new = {name: value[:added] for name, value in seeds.items()}
        instead = {name: value[added : added + len(faintest)] for name, value in seeds.items()}
        usable = indices(finite_rows(view.params) & view.free)
        edits: list[Edit] = [Reset(faintest, instead, forget="all")] if len(faintest) else []
        if added and len(usable):
            # Fields of other modules are those of the nearest Gaussian.
            means = view.params["means"].detach()[usable]
            edits.append(Clone(usable[knn(means, 1, new["means"])[0][:, 0]], new))
        return edits

    def _seeds(self, view: SceneView, views: Views) -> dict[str, Tensor]:
        """Raw parameters of new Gaussians, in random order."""
        c = self.config
        chosen = torch.randperm(len(views), generator=self.random)[: c.views].tolist()
        most = math.ceil(c.share * view.num / len(chosen))
        found = [self._seeds_of_view(view, views, index, most) for index in chosen]
        order = torch.randperm(sum(len(part["opacities"]) for part in found), generator=self.random)
        return {name: torch.cat([part[name] for part in found])[order] for name in found[0]}

    def _seeds_of_view(self, view: SceneView, views: Views, index: int, most: int) -> dict[str, Tensor]:
        c, lens, params = self.config, views.lens(index), view.params
        photograph = views.photograph(index).to(params["means"].device)
        depth, alpha = views.depth(params, index)
        error = _smoothed((views.image(params, index) - photograph).abs().mean(dim=-1))
        wrong = (error > c.error) & (error > c.contrast * error.median()) & (alpha > 0.5)
        weights = torch.where(wrong, error, 0).flatten()
        count = min(most, int(wrong.sum() / c.spacing**2))
        pixels = draw(weights, count, self.random).unique() if count else torch.zeros(0, dtype=torch.int64)
        y, x = pixels // lens.width, pixels % lens.width
        places = torch.stack([x, y], dim=1).to(depth) + 0.5
        distance = depth.flatten()[pixels]
        means = center(lens).to(depth) + distance[:, None] * rays(lens, places)
        sizes = (c.size * distance / float(lens.K[0, 0])).clamp(min=1e-30).log()
        quats = params["quats"].new_zeros(len(pixels), 4)
        quats[:, 0] = 1
        return {
            **{name: value.new_zeros(len(pixels), *value.shape[1:]) for name, value in params.items()},
            **{field.name: field.blanks(len(pixels), means) for field in view.schema.further},
            "means": means,
            "quats": quats,
            "scales": sizes[:, None].expand(-1, 3),
            "opacities": torch.full_like(sizes, math.log(c.opacity / (1 - c.opacity))),
            "sh0": sh0_of(photograph.flatten(0, 1)[pixels])[:, None, :],
        }


def _smoothed(errors: Tensor) -> Tensor:
    """[H, W] mean over a window around each pixel."""
    return torch.nn.functional.avg_pool2d(
        errors[None], _WINDOW, stride=1, padding=_WINDOW // 2, count_include_pad=False
    )[0]
