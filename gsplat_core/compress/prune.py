"""Which Gaussians are left out before coding, or for their own sake (`compress --prune`).

By contribution, those go that the training views show least. The score is the sum of a Gaussian's blending
weights over all pixels of all views, as in Mini-Splatting (Fang and Wang 2024) and EAGLES (Girish et al.
2024), times its largest weight at any pixel (RadSplat, Niemeyer et al. 2024): the sum alone throws out small
Gaussians that are all there is at their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.compress.ranking import most_important
from gsplat_core.compress.spectral import spectral_choice
from gsplat_core.contributions import contributions
from gsplat_core.errors import UsageError
from gsplat_core.render.scene import Scene
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians


def importance(scene: Scene, cameras: Iterable[Camera], settings: RenderSettings = USUAL) -> Tensor:
    """How much the views show of every Gaussian: [N] float32, not negative."""
    shown = contributions(scene, cameras, settings)
    return shown.weights.float() * shown.largest_weight


Rule: TypeAlias = Callable[[Gaussians, int, Sequence[Camera]], Tensor]
"""The rows [count] of a scene that stay, in ascending order, of so many, with the cameras of photographs."""


def _by_opacity(scene: Gaussians, count: int, cameras: Sequence[Camera]) -> Tensor:
    return most_important(sigmoid(scene.opacities), count)


def _by_contribution(scene: Gaussians, count: int, cameras: Sequence[Camera]) -> Tensor:
    return most_important(importance(scene, cameras, USUAL.as_trained(scene.metadata)), count)


def _by_spectrum(scene: Gaussians, count: int, cameras: Sequence[Camera]) -> Tensor:
    return spectral_choice(scene.params, count)


RULES: dict[str, Rule] = {
    "spectral": _by_spectrum,
    "opacity": _by_opacity,
    "contribution": _by_contribution,
}
BY_PHOTOGRAPHS = ("contribution",)


@dataclass(frozen=True)
class Pruning:
    """A rule of `RULES`, and the part of the Gaussians that goes.

    Raises:
        UsageError: there is no such rule, or the part is not between 0 and 1.
    """

    rule: str
    rate: float

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise UsageError(f"There is no rule of pruning {self.rule!r}; there are: {', '.join(RULES)}.")
        if not 0 < self.rate < 1:
            raise UsageError(f"The part that is pruned must be between 0 and 1, not {self.rate:g}.")

    @staticmethod
    def of(text: str) -> Pruning:
        """That of "RULE:RATE", such as "spectral:0.5"."""
        rule, _, rate = text.partition(":")
        try:
            return Pruning(rule, float(rate))
        except ValueError:
            raise UsageError(
                f"{text!r} does not say what to prune: expected RULE:RATE, such as spectral:0.5, where the "
                "rate is the part that is removed."
            ) from None

    @property
    def needs_photographs(self) -> bool:
        return self.rule in BY_PHOTOGRAPHS

    @torch.no_grad()
    def applied(self, scene: Gaussians, cameras: Sequence[Camera] = ()) -> Gaussians:
        """What is left of a scene, one Gaussian at least.

        Args:
            cameras: of the photographs, where the rule needs them.
        """
        count = max(1, round(scene.num * (1 - self.rate)))
        return scene.subset(RULES[self.rule](scene, count, cameras))
