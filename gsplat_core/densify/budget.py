"""A budget of Gaussians that is filled over a part of the training, for plug-ins that set the limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, TypeVar

from gsplat_core.densify.stretching import point_in_time
from gsplat_core.ranges import COUNT, STEP, Range, check_ranges

T = TypeVar("T", bound="Budget")


@dataclass(frozen=True)
class Budget:
    """Args:
        budget: the number of Gaussians at `stop`; None: `multiplier` times the initial number.
        multiplier: see there.
        start, stop: iterations between which the number grows; those of the strategy behind.

    Raises:
        ValueError: a value outside its range.
    """

    budget: Annotated[int, COUNT] | None = None
    multiplier: Annotated[float, Range(1, 1e6)] = 2.0
    start: Annotated[int, STEP] = 500
    stop: Annotated[int, STEP] = 15_000

    def __post_init__(self) -> None:
        check_ranges(self)

    def stretched(self: T, factor: float) -> T:
        """The same schedule for a run `factor` times as long."""
        return replace(self, start=point_in_time(self.start, factor), stop=point_in_time(self.stop, factor))

    def final(self, initial: float) -> float:
        """The number at `stop`, of so many at the beginning."""
        return self.multiplier * initial if self.budget is None else self.budget

    def elapsed(self, step: int) -> float:
        """The part of the time of growth that is over, 0 to 1."""
        return min(max((step - self.start) / max(self.stop - self.start, 1), 0.0), 1.0)
