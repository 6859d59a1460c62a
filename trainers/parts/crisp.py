"""Gaussians that are either there or not: opacities between one half and one cost something (AT-GS, Chen et
al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.ranges import NOT_NEGATIVE, check_ranges
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part, Rendering
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig

STEEPNESS = 20.0
FROM, TO = 0.51, 0.99
"""The opacities that it is asked of."""


@dataclass(frozen=True)
class CrispConfig:
    """Args:
        weight: of the mean of exp(-20 (o - 1/2)^2) over the Gaussians, where 0.51 < o <= 0.99.

    Raises:
        ValueError: a number outside its range.
    """

    weight: Annotated[float, NOT_NEGATIVE] = 0.01

    def __post_init__(self) -> None:
        check_ranges(self)


class Crisp(Part):
    """`--parts crisp`, and part of the later frames of sequences of `--model flat`."""

    settings: ClassVar[type[Any] | None] = CrispConfig
    first_order: ClassVar[str | None] = "knows no such loss; leave out --parts crisp"

    def __init__(self, settings: CrispConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        o = rendering.splats["opacities"]
        asked = ((o > FROM) & (o <= TO)).detach()
        undecided = torch.where(asked, (-STEEPNESS * (o - 0.5).square()).exp(), 0.0)
        return self._settings.weight * undecided.mean()
