"""Thresholds of their own for classes of Gaussians (Hu et al. 2024, "Expressive Gaussian Human Avatars from
Monocular RGB Video", EVA), in front of a strategy.

What people look at, such as faces and hands, is small, and its gradients are no larger than those of a wall.
The threshold of class k at refinement t is

    T_k = a_k [tau + lambda (g_k(t) - g_k(t - 1))]

with tau the strategy's own, g_k the mean gradient of the class, and lambda of two kinds, for those that are
cloned and for those that are split. With lambda below 0, a class whose gradients fall is left to settle, and
one whose gradients rise grows sooner. As published: a = 0.5 for hands, 0.7 for faces, 1 for bodies;
lambda = -9 for splits and 0 for clones.

The class is the Gaussian's label (`SceneView.labels`), which its copies inherit. The plug-in speaks of needs
n = g / tau, not of gradients, so it guides a strategy whatever its threshold is. It guides MCMC, too, where
1 / a_k is a factor on the probability to be copied; lambda has no meaning there, and no effect.

Unlike as published, a class's threshold never falls below a tenth of a_k tau: where gradients rise it would
become negative, and then the whole class grows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.strategy import SceneView, Strategy
from gsplat_core.ranges import POSITIVE, Range, check_ranges, shortened

# Of a_k tau.
LEAST_THRESHOLD = 0.1


@dataclass(frozen=True)
class ClassesConfig:
    """Args:
        scales: a by label, as text: labels are names in JSON. Gaussians of other labels keep the strategy's
            threshold.
        lambda_clone, lambda_split: lambda for Gaussians that would be cloned, and for those that would be
            split.

    Raises:
        ValueError: a value outside its range, or a name that is no label.
    """

    scales: dict[str, float] = field(default_factory=dict)
    lambda_clone: Annotated[float, Range(-1e6, 1e6)] = 0.0
    lambda_split: Annotated[float, Range(-1e6, 1e6)] = 0.0

    def __post_init__(self) -> None:
        check_ranges(self)
        for name, scale in self.scales.items():
            if not _is_label(name):
                raise ValueError(
                    f"scales: {shortened(name)} is no label; expected a whole number of at least -1"
                )
            if type(scale) not in (int, float) or scale not in POSITIVE:
                raise ValueError(f"scales.{name} must be a number {POSITIVE}, got {shortened(scale)}")

    def stretched(self, factor: float) -> ClassesConfig:
        """The same: nothing here is a point in time."""
        return self

    @property
    def labels(self) -> dict[int, float]:
        """a by label."""
        return {int(name): float(scale) for name, scale in self.scales.items()}

    @property
    def compares(self) -> bool:
        """Whether thresholds depend on how gradients change."""
        return self.lambda_clone != 0 or self.lambda_split != 0


def _is_label(name: str) -> bool:
    """-1 and 0, 1, 2, ..., each in one way of writing."""
    return name == "-1" or (name.isascii() and name.isdigit() and len(name) < 10 and str(int(name)) == name)


class Classes(Plugin):
    """The plug-in; see the module."""

    def __init__(self, base: Strategy, config: ClassesConfig | None = None) -> None:
        self.config = ClassesConfig() if config is None else config
        super().__init__(base)
        self.numbers = self._unknown()

    def _unknown(self) -> dict[str, float]:
        """Mean needs before the first refinement."""
        return {_name(label): math.nan for label in self.config.labels} if self.config.compares else {}

    def initialize(self, num: int, device: torch.device | str) -> None:
        super().initialize(num, device)
        self.numbers = self._unknown()

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        if self.grows_at(step) and self.config.scales:
            if view.labels is None:
                raise ValueError("Classes needs SceneView.labels")
            need = self.need(view) if self.config.compares else None
            eagerness = self._eagerness(view, view.labels, need)
            if need is not None:
                self.numbers = {_name(k): _mean(need[view.labels == k]) for k in self.config.labels}
            view = replace(view, guidance=view.guidance.also(eagerness=eagerness))
        return super().on_step(step, view)

    def _eagerness(self, view: SceneView, labels: Tensor, need: Tensor | None) -> Tensor:
        """[N] tau / T of each Gaussian's class."""
        c, means = self.config, view.params["means"]
        divided = None if need is None else self.divides(view)
        eagerness = torch.ones_like(means[:, 0])
        for label, scale in c.labels.items():
            members = labels == label
            risen = 0.0 if need is None else _mean(need[members]) - self.numbers[_name(label)]
            if math.isnan(risen):  # there was nobody, or no refinement before
                risen = 0.0
            clone, split = (
                1 / (scale * max(1 + factor * risen, LEAST_THRESHOLD))
                for factor in (c.lambda_clone, c.lambda_split)
            )
            eagerness[members] = clone
            if divided is not None:
                eagerness[members & divided] = split
        return eagerness


def _name(label: int) -> str:
    return f"mean_need_{label}"


def _mean(need: Tensor) -> float:
    return float(need.double().mean()) if len(need) else math.nan
