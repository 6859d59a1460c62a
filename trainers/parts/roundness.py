"""Gaussians do not become needles, which fit one photograph and stick out in the next.

The loss is the mean of max(log(s_max / s_min) - log(ratio), 0) over the Gaussians: nothing for those whose
largest side is at most `ratio` times the smallest (PhysGaussian, Xie et al. 2024, penalises the ratio itself,
of which single Gaussians would be all that counts).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from torch import Tensor

from gsplat_core.ranges import NOT_NEGATIVE, Range, check_ranges
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class RoundnessConfig:
    """Args:
        ratio: of the largest side to the smallest that costs nothing.
        weight: of the loss.

    Raises:
        ValueError: a number outside its range.
    """

    ratio: Annotated[float, Range(1, 1e12, "least")] = 8.0
    weight: Annotated[float, NOT_NEGATIVE] = 0.05

    def __post_init__(self) -> None:
        check_ranges(self)


class Roundness(Part):
    """`--parts roundness`, and part of every training with `--sparse`."""

    settings: ClassVar[type[Any] | None] = RoundnessConfig
    first_order: ClassVar[str | None] = "knows no such loss; leave out --parts roundness"

    def __init__(self, settings: RoundnessConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        logs = rendering.splats["scales"].log()
        excess = logs.amax(dim=-1) - logs.amin(dim=-1) - math.log(self._settings.ratio)
        return self._settings.weight * excess.clamp(min=0).mean()
