"""What changes over a run as a function of the step, and how a shorter or longer run stretches it."""

from __future__ import annotations

import math


def exponential(start: float, final: float, step: int, steps: int) -> float:
    """Log-linear interpolation from `start` (step 0) to `final` (step `steps`)."""
    t = min(max(step / steps, 0.0), 1.0)
    return math.exp((1 - t) * math.log(start) + t * math.log(final))


def sh_degree_at(step: int, every: int, maximum: int) -> int:
    """The SH degree in use at `step`: one more after every `every` steps, at most `maximum`."""
    return min(step // every, maximum) if every > 0 else maximum
