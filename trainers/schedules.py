"""What changes over a run as a function of the step, and how a shorter or longer run stretches it."""

from __future__ import annotations

import math
from typing import Protocol


def exponential(start: float, final: float, step: int, steps: int) -> float:
    """Log-linear interpolation from `start` (step 0) to `final` (step `steps`)."""
    t = min(max(step / steps, 0.0), 1.0)
    return math.exp((1 - t) * math.log(start) + t * math.log(final))


class Phase(Protocol):
    """A loss that counts during a part of the run: `start` and `end` are shares of its steps."""

    @property
    def weight(self) -> float: ...

    @property
    def weight_final(self) -> float: ...

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...


def weight_at(step: int, steps: int, phase: Phase) -> float:
    """The weight of a loss at `step`, exponential over the whole run, and 0 outside its part of that."""
    if not phase.start * steps <= step <= phase.end * steps:
        return 0.0
    return exponential(phase.weight, phase.weight_final, step, steps)


def sh_degree_at(step: int, every: int, maximum: int) -> int:
    """The SH degree in use at `step`: one more after every `every` steps, at most `maximum`."""
    return min(step // every, maximum) if every > 0 else maximum
