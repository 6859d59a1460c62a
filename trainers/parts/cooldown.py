"""All learning rates fall at the end of a training, so that the scene comes to rest.

Where many numbers are decoded by networks that all rows share, as anchors are, rates that hold until the end
keep the whole scene in motion, and rates that fall all the time learn too little. So they hold, and fall
linearly over the last steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from gsplat_core.ranges import SHARE, check_ranges
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class CooldownConfig:
    """Args:
        share: of the steps, the last ones, over which rates fall.
        final: what they are multiplied by in the end.

    Raises:
        ValueError: a number outside its range.
    """

    share: Annotated[float, SHARE] = 0.15
    final: Annotated[float, SHARE] = 0.05

    def __post_init__(self) -> None:
        check_ranges(self)


class Cooldown(Part):
    """`--parts cooldown`, and part of every training of `--model scaffold`."""

    settings: ClassVar[type[Any] | None] = CooldownConfig

    def __init__(self, settings: CooldownConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings, self._steps = settings, config.steps

    def learning_rate_factor(self, step: int) -> float:
        last = self._settings.share * self._steps
        if self._steps - step >= last:
            return 1.0
        return max((self._steps - step) / last, self._settings.final)
