"""The network of `--model sundae`: how large it is, and where it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from gsplat_core.densify.store import ParameterStore
from gsplat_core.errors import UsageError
from gsplat_core.models.sundae import NAME, WIDEST, WIDTH, starting_weights, width_of
from gsplat_core.ranges import Range, check_ranges
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class HeadConfig:
    """Args:
        width: channels at half resolution; at a quarter there are twice as many. The network has about 73
            times the square of it weights. None: as the scene has it, or 16 if it has none.

    Raises:
        ValueError: a number outside its range.
    """

    width: Annotated[int, Range(1, WIDEST)] | None = None

    def __post_init__(self) -> None:
        check_ranges(self)


class Head(Part):
    """Part of every training of `--model sundae`: gives a scene the network that it lacks, or one of another
    width in the place of its own."""

    settings: ClassVar[type[Any] | None] = HeadConfig

    def __init__(self, settings: HeadConfig, config: TrainConfig, views: Sequence[View]) -> None:
        if config.primitive != NAME:
            raise UsageError(f"--parts head is for --model {NAME}, not for --model {config.primitive}.")
        self._settings, self._seed = settings, config.seed

    def adopted(self, store: ParameterStore) -> None:
        weights = store.shared["head"]
        there = width_of(len(weights))
        wanted = self._settings.width or there or WIDTH
        if wanted != there:
            # The optimizer holds this very tensor, and has no moments of it yet.
            weights.data = starting_weights(wanted, self._seed).to(weights)
