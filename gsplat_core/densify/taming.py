"""A budget and scores for who may grow (Mallick et al. 2024, "Taming 3DGS"), over ADC.

The number of Gaussians follows a parabola from the initial number to the budget, steep at first and flat at
the end. Of those that ADC would let grow, so many are drawn at random, with chances in proportion to a score:
how much a Gaussian shows, of what is wrong and of edges, in a sample of the training views.

Left out of the paper's code, with which quality changes little and which belong elsewhere: opacities above 1
late in training, rare updates of higher spherical harmonics, and the random choice among what ADC prunes. One
term of the score, the summed distance of a Gaussian's pixels from its centre, is 2/3 of its radius times its
pixels here, that of a disc.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.densify.budget import Budget
from gsplat_core.densify.edits import Edit
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.rows import to_unit
from gsplat_core.densify.strategy import SceneView, Strategy
from gsplat_core.densify.views import Views
from gsplat_core.ranges import NOT_NEGATIVE, SEED, Range, check_ranges


@dataclass(frozen=True)
class TamingConfig(Budget):
    """The budget and the score. The paper's budget is 2 times the initial number for indoor scenes, 15 times
    for outdoor ones.

    Args:
        views: how many training views the score looks at.
        gradient, opacity, depth, radius, size: weights of a Gaussian's own terms.
        distance, error, pixels, blending: weights of the terms summed over its pixels.
        seed: of the sample of views and of the draw.

    Raises:
        ValueError: a value outside its range.
    """

    views: Annotated[int, Range(1, 1_000_000)] = 10
    gradient: Annotated[float, NOT_NEGATIVE] = 25.0
    opacity: Annotated[float, NOT_NEGATIVE] = 100.0
    depth: Annotated[float, NOT_NEGATIVE] = 5.0
    radius: Annotated[float, NOT_NEGATIVE] = 10.0
    size: Annotated[float, NOT_NEGATIVE] = 25.0
    distance: Annotated[float, NOT_NEGATIVE] = 50.0
    error: Annotated[float, NOT_NEGATIVE] = 10.0
    pixels: Annotated[float, NOT_NEGATIVE] = 0.1
    blending: Annotated[float, NOT_NEGATIVE] = 50.0
    seed: Annotated[int, SEED] = 0

    def __post_init__(self) -> None:
        check_ranges(self)


class Taming(Plugin):
    """The plug-in; see the module."""

    def __init__(self, base: Strategy, config: TamingConfig | None = None) -> None:
        self.config = TamingConfig() if config is None else config
        super().__init__(base, self.config.seed)
        self.numbers = {"initial": 0.0}

    def initialize(self, num: int, device: torch.device | str) -> None:
        super().initialize(num, device)
        self.numbers["initial"] = float(num)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        if self.grows_at(step):
            if view.views is None:
                raise ValueError("Taming needs SceneView.views")
            guidance = view.guidance.also(limit=self._limit(step), order=self._order(view, view.views))
            view = replace(view, guidance=guidance)
        return super().on_step(step, view)

    def _limit(self, step: int) -> int:
        initial, t = self.numbers["initial"], self.config.elapsed(step)
        return math.floor(initial + (self.config.final(initial) - initial) * t * (2 - t))

    def _order(self, view: SceneView, views: Views) -> Tensor:
        """[N] keys, larger first, that draw without replacement in proportion to the score."""
        score = self._score(view, views)
        uniform = torch.rand(view.num, generator=self.random, dtype=torch.float64).to(score.device)
        keys = uniform.clamp(min=1e-300).log() / score.double().clamp(min=1e-30)
        return keys.clamp(min=torch.finfo(torch.float64).min)

    def _score(self, view: SceneView, views: Views) -> Tensor:
        c, params = self.config, view.params
        opacities = sigmoid(params["opacities"])
        volumes = params["scales"].exp().prod(dim=1)
        need = self.need(view)
        total = torch.zeros_like(opacities)
        sample = torch.randperm(len(views), generator=self.random)[: c.views]
        for index in sample.tolist():
            photograph = views.photograph(index).to(opacities.device)
            difference = (views.image(params, index) - photograph).abs().mean(dim=-1)
            importance = 50 * to_unit(difference) + 50 * to_unit(_edges(photograph))
            shares = views.shares(params, index)
            terms = [
                (c.opacity, opacities),
                (c.depth, shares.depths),
                (c.radius, shares.radii.float()),
                (c.size, volumes),
                (c.distance, shares.radii * shares.pixels * (2 / 3)),
                (c.error, views.weighted_shares(params, index, importance)),
                (c.pixels, shares.pixels),
                (c.blending, shares.weights),
            ]
            if need is not None:
                terms.append((c.gradient, need))
            visible = shares.radii > 0
            own = torch.zeros_like(total)
            for weight, values in terms:
                own += weight * _relative(values)
            total += torch.where(visible, float(difference.mean()) * own, 0)
        return total


def _relative(values: Tensor) -> Tensor:
    """Values over the median of the positive ones; 0 where they are not positive."""
    positive = values[values > 0]
    return values.clamp(min=0) / positive.median() if len(positive) else torch.zeros_like(values)


def _edges(photograph: Tensor) -> Tensor:
    """[H, W] absolute Laplacian of the brightness of an image [H, W, 3]."""
    grey = torch.nn.functional.pad(photograph.mean(dim=-1)[None], (1, 1, 1, 1), mode="replicate")[0]
    neighbors = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return (4 * grey[1:-1, 1:-1] - neighbors).abs()
