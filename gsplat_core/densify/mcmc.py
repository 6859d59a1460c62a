"""Density control as sampling: 3D Gaussian Splatting as Markov Chain Monte Carlo (Kheradmand et al. 2024).

Gaussians are samples of a distribution that the loss defines. Noise makes them explore: it moves those that
contribute little, more along their own long axes. Those that died, which is to become transparent, are moved
to where live ones are, as copies that change the rendering as little as possible. The number grows by a fixed
rate up to a cap. Nothing is split by gradients, pruned or reset; a regulariser makes what is not needed
transparent and small.

Choices where the published codes differ, or the specification leaves one:
- the noise pauses in the iterations that relocate;
- a moved Gaussian loses the moments it had in its old place, and its source loses its own;
- sizes follow the paper's equation: opacities are clamped after it, not before;
- the regulariser of sizes is in units of the scene extent, so that a scene in millimetres trains like one in
  metres.

Short runs have no time for what noise does in long ones, which is to part copies that start in one place; see
`MCMCConfig.stretched`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.densify.edits import Clone, Edit, Move, Reset
from gsplat_core.densify.refining import Refining
from gsplat_core.densify.rows import draw, finite_rows, indices, offsets_within
from gsplat_core.densify.strategy import Initialization, ScaleRule, SceneView
from gsplat_core.densify.stretching import SHORT_RUN, point_in_time, refinement_interval
from gsplat_core.ops.mcmc import perturb_means, relocate
from gsplat_core.ranges import (
    BETWEEN_0_AND_1,
    COUNT,
    INTERVAL,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    STEP,
    Range,
    check_ranges,
)
from gsplat_core.scene.scale import PUBLISHED_LENGTH

_MOST_COPIES = 51  # of one Gaussian in one step, as in the paper's code
_LARGEST_OPACITY = 1 - 2.0**-23
# Of short runs, measured on real scenes (docs/strategies.md): `scatter`, and `grow_until` of 30 000.
_SHORT_SCATTER = 1.0
_SHORT_GROWTH = 12_000
_FASTEST_GROWTH = 1.5


@dataclass(frozen=True)
class MCMCConfig:
    """The defaults are those of the paper for 30 000 iterations.

    Iterations count from 1.

    Args:
        max_gaussians: the cap.
        growth: the number grows by this factor at each refinement until the cap.
        grow_until: and by less if that is enough to reach the cap by this iteration. None: no such pace.
        scatter: copies stand apart from their source, at random places drawn from it with its standard
            deviations times this. 0: where it is, as published.
        refine_start, refine_stop, refine_every: relocate and grow at the multiples of `refine_every` strictly
            between.
        min_opacity: Gaussians up to this opacity are dead.
        scale: see `ADCConfig`; with "seen", noise is that of a scene of length 5, whatever the units are.
        noise: factor on the noise, which is also in proportion to the learning rate of the means.
        noise_steepness: how sharply noise ends above `min_opacity`.
        opacity_regularization: weight of the mean opacity in the loss.
        scale_regularization: weight of the mean standard deviation, in units of the distance at which it is
            seen or of the scene extent, see `scale`.
        initial_opacity, initial_scale: Gaussians start with this opacity, and with their usual size times
            this.
        seed: of everything random.

    Raises:
        ValueError: a value outside its range.
    """

    max_gaussians: Annotated[int, COUNT] = 1_000_000
    growth: Annotated[float, Range(1, 1e6)] = 1.05
    grow_until: Annotated[int, STEP] | None = None
    scatter: Annotated[float, NOT_NEGATIVE] = 0.0
    refine_start: Annotated[int, STEP] = 500
    refine_stop: Annotated[int, STEP] = 25_000
    refine_every: Annotated[int, INTERVAL] = 100
    min_opacity: Annotated[float, BETWEEN_0_AND_1] = 0.005
    scale: ScaleRule = "seen"
    noise: Annotated[float, NOT_NEGATIVE] = 5e5
    noise_steepness: Annotated[float, NOT_NEGATIVE] = 100.0
    opacity_regularization: Annotated[float, NOT_NEGATIVE] = 0.01
    scale_regularization: Annotated[float, NOT_NEGATIVE] = 0.01
    initial_opacity: Annotated[float, BETWEEN_0_AND_1] = 0.5
    initial_scale: Annotated[float, POSITIVE] = 0.1
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self, factor: float) -> MCMCConfig:
        """The same schedule for a run `factor` times as long.

        The number of refinements changes when their interval cannot follow; growth per refinement then makes
        up for it, up to half as many again each time: opacities, which decide who is copied, need time to
            tell.

        Short runs start with the opacity and size of 3DGS: small and opaque Gaussians, as published, need
        several hundred steps to reach their neighbours, since Adam changes the logarithm of a size by about
        its learning rate of 0.005 per step. They scatter their copies, since those that coincide have all but
        the same gradients and would stay together; and they take time to reach the cap, since at first
        opacities say little about where more are needed.
        """
        usual = Initialization()
        short = factor < SHORT_RUN
        grow_until = _SHORT_GROWTH if short and self.grow_until is None else self.grow_until
        stretched = replace(
            self,
            initial_opacity=usual.opacity if short else self.initial_opacity,
            initial_scale=usual.scale_factor if short else self.initial_scale,
            scatter=self.scatter or (_SHORT_SCATTER if short else 0.0),
            grow_until=None if grow_until is None else point_in_time(grow_until, factor),
            refine_start=point_in_time(self.refine_start, factor),
            refine_stop=point_in_time(self.refine_stop, factor),
            refine_every=refinement_interval(self.refine_every, factor),
        )
        ratio = self._refinements() / max(stretched._refinements(), 1)
        if ratio <= 1:
            return stretched
        return replace(stretched, growth=max(min(self.growth**ratio, _FASTEST_GROWTH), self.growth))

    def _refinements(self) -> float:
        return (self.refine_stop - self.refine_start) / self.refine_every


class MCMC(Refining[MCMCConfig]):
    """The strategy; see the module."""

    def __init__(self, config: MCMCConfig | None = None) -> None:
        self.config = MCMCConfig() if config is None else config
        super().__init__(self.config.seed)

    @property
    def initialization(self) -> Initialization:  # type: ignore[override]
        return Initialization(self.config.initial_opacity, self.config.initial_scale)

    def regularization(self, splats: Mapping[str, Tensor], view: SceneView) -> Tensor:
        """Weighted means of opacities and of standard deviations (equation 10)."""
        c = self.config
        # Else the background, which is large because it is far away, would be all that the mean sees.
        size = (splats["scales"] / view.reach(c.scale)[:, None]).mean()
        return c.opacity_regularization * splats["opacities"].mean() + c.scale_regularization * size

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        """Relocation and growth where the schedule has them, noise elsewhere.

        Raises:
            ValueError: `view.learning_rates` lacks that of the means.
        """
        if self.grows_at(step):
            edits = self._refine(step, view)
            if edits:
                return edits
        return self._noise(step, view)

    def _noise(self, step: int, view: SceneView) -> list[Edit]:
        c, params = self.config, view.params
        if "means" not in view.learning_rates:
            raise ValueError("MCMC's noise is in proportion to learning_rates['means'], which is not given")
        strength = c.noise * view.learning_rates["means"]
        if c.scale == "seen":
            # A covariance times a length is no length: as published, noise depends on the units of the scene.
            strength *= (PUBLISHED_LENGTH / view.scene_extent) ** 2
        if strength == 0:
            return []
        moved = perturb_means(
            params["means"].detach(), params["quats"].detach(), params["scales"].detach().exp(),
            sigmoid(params["opacities"].detach()), strength, c.noise_steepness, c.min_opacity, c.seed, step,
        )  # fmt: skip
        return [Reset(None, {"means": moved}, forget="none")]

    def _refine(self, step: int, view: SceneView) -> list[Edit]:
        """Dead Gaussians become copies of live ones, then new copies are added."""
        params, guidance = view.params, view.guidance
        finite = finite_rows(params)
        opacities = torch.where(finite, sigmoid(params["opacities"].detach()), 0)
        alive = opacities > self.config.min_opacity
        if guidance.leaving is not None:
            alive &= ~guidance.leaving
        copied = alive & view.free
        if not bool(copied.any()):
            return []
        dead = indices(~alive & view.free)
        wanted = self._number_after(step, view.num)
        if guidance.limit is not None:
            wanted = min(wanted, guidance.limit)
        added = max(wanted - view.num, 0)
        if len(dead) + added == 0:
            return []
        chance = torch.where(copied, opacities, 0)
        eager = chance if guidance.eagerness is None else chance * guidance.eagerness
        if not bool((eager > 0).any()):
            eager = chance
        # One draw for both: a source knows how many stand in its place when all is done.
        sources = draw(eager, len(dead) + added, self.random)
        count = torch.bincount(sources, minlength=view.num)
        parents = indices(count > 0)
        values = self._shared(params, opacities, parents, count[parents] + 1)
        row_of = torch.zeros(view.num, dtype=torch.int64, device=sources.device)
        row_of[parents] = torch.arange(len(parents), device=sources.device)
        copies = {name: value[row_of[sources]] for name, value in values.items()}
        if self.config.scatter > 0:
            copies["means"] = self._scattered(params, sources, copies["scales"].exp())
        moved = len(dead)
        return [
            Reset(parents, values, forget="all"),
            Move(dead, sources[:moved], {name: value[:moved] for name, value in copies.items()}),
            Clone(sources[moved:], {name: value[moved:] for name, value in copies.items()}),
        ]

    def _number_after(self, step: int, num: int) -> int:
        """How many there may be after this refinement, of `num` before."""
        c = self.config
        most = min(math.floor(c.growth * num), c.max_gaussians)
        if c.grow_until is None or step >= c.grow_until or num >= c.max_gaussians:
            return most
        refinements = (c.grow_until - step) // c.refine_every + 1
        return min(most, math.ceil(num * (c.max_gaussians / num) ** (1 / refinements)))

    def _scattered(self, params: Mapping[str, Tensor], sources: Tensor, sizes: Tensor) -> Tensor:
        """Centres [M, 3] of copies of the sources [M] with these standard deviations [M, 3]."""
        quats = params["quats"].detach()[sources]
        offsets = offsets_within(quats, self.config.scatter * sizes, 1, self.random)
        return params["means"].detach()[sources] + offsets[:, 0]

    def _shared(
        self, params: Mapping[str, Tensor], opacities: Tensor, rows: Tensor, copies: Tensor
    ) -> dict[str, Tensor]:
        """Raw opacities and scales of Gaussians of which there are now several."""
        opacity, scale = relocate(
            opacities[rows], params["scales"].detach()[rows].exp(), copies.clamp(max=_MOST_COPIES).int()
        )
        opacity = opacity.clamp(self.config.min_opacity, _LARGEST_OPACITY)
        return {"opacities": torch.logit(opacity), "scales": scale.log()}
