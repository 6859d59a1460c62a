"""How long the rest of a run takes, while its steps become slower.

A step's time is that of its pixels and of its Gaussians,

    seconds = a pixels + b Gaussians,

and both grow during a run: images, where a schedule begins with small ones, as far as is known before;
Gaussians until density control ends or the cap is reached. These become more by a constant number per step,
or by a share of what is there, or in between; so

    new Gaussians per step = c + d Gaussians.

The four rates come from the steps up to now by least squares; old ones count less and less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

MEMORY_SECONDS = 30.0
"""What is as long ago counts 1/e of what is now."""
_RIDGE = 1e-3
_CHUNKS = 100
_LARGEST_EXPONENT = 50.0


class TimeLeft:
    """Args:
    steps: the last step of the run.
    pixels_at: how many pixels the photograph of a step has, in any unit.
    grows_until: the step at which the number of Gaussians has ended to grow.
    most: their largest number; None where there is no limit.
    """

    def __init__(
        self,
        steps: int,
        pixels_at: Callable[[int], float] = lambda step: 1.0,
        grows_until: int = 0,
        most: int | None = None,
    ) -> None:
        self._steps = steps
        self._pixels_at = pixels_at
        self._grows_until = grows_until
        self._most = most
        self._last: tuple[float, int, int] | None = None  # when, step, Gaussians
        self._cost, self._growth = _Rates(), _Rates()
        self._seconds = self._advanced = 0.0  # which fade

    def expect(self, steps: int) -> None:
        """The run has so many steps, which may be others than it seemed before."""
        self._steps = steps

    def update(self, now: float, step: int, gaussians: int) -> None:
        """Tells it where the run is, at a time in seconds on any clock."""
        last, self._last = self._last, (now, step, gaussians)
        if last is None or step <= last[1] or now <= last[0]:
            return
        seconds, steps = now - last[0], step - last[1]
        fading = math.exp(-seconds / MEMORY_SECONDS)
        pixels, between = self._pixels_at((step + last[1]) // 2), (gaussians + last[2]) / 2
        self._cost.add(fading, steps, (pixels, between), seconds / steps)
        self._growth.add(fading, steps, (1.0, between), (gaussians - last[2]) / steps)
        self._seconds = fading * self._seconds + seconds
        self._advanced = fading * self._advanced + steps

    @property
    def per_second(self) -> float:
        """Steps, lately; 0 as long as there were none."""
        return self._advanced / self._seconds if self._seconds > 0 else 0.0

    def seconds(self) -> float:
        """What the steps still to come take; NaN as long as there were none."""
        if self._last is None or self._advanced <= 0:
            return math.nan
        _, step, gaussians = self._last
        cost, growth, total = self._cost.solved(), self._growth.solved(), 0.0
        edges = np.linspace(step, self._steps, _CHUNKS + 1)
        for begin, end in pairwise(edges):
            middle = (begin + end) / 2
            growing = max(min(middle, self._grows_until) - step, 0.0)
            total += (end - begin) * float(
                cost @ (self._pixels_at(int(middle)), self._after(gaussians, growing, growth))
            )
        return total

    def _after(self, gaussians: int, steps: float, growth: np.ndarray) -> float:
        """How many Gaussians there are after so many more steps in which they grow, at these rates."""
        if self._most is None:  # an exponential without a limit would be a bold guess
            pace = self._growth.mean()
            return gaussians + max(pace, 0.0) * steps
        constant, share = growth
        exponent = min(share * steps, _LARGEST_EXPONENT)
        grown = constant * (math.expm1(exponent) / share if share > 0 else steps)
        return min(gaussians * math.exp(exponent) + grown, max(self._most, gaussians))


class _Rates:
    """Two rates, neither below zero, of which `value = rates @ features`: by least squares, in which what was
    added earlier fades."""

    def __init__(self) -> None:
        self._normal, self._right = np.zeros((2, 2)), np.zeros(2)
        self._weight = self._value = 0.0

    def add(self, fading: float, weight: float, features: tuple[float, float], value: float) -> None:
        x = np.array(features)
        self._normal = fading * self._normal + weight * np.outer(x, x)
        self._right = fading * self._right + weight * value * x
        self._weight = fading * self._weight + weight
        self._value = fading * self._value + weight * value

    def mean(self) -> float:
        """Of the values."""
        return self._value / self._weight if self._weight > 0 else 0.0

    def solved(self) -> np.ndarray:
        """The rates. Where features were proportional up to now, both have an equal part in the values."""
        size = np.sqrt(np.diag(self._normal))
        size[size == 0] = 1.0
        normal, right = self._normal / np.outer(size, size), self._right / size
        scaled = np.linalg.solve(normal + _RIDGE * np.eye(2), right + _RIDGE * right / 2)
        for other in (0, 1):
            if scaled[other] < 0:
                scaled = np.zeros(2)
                scaled[1 - other] = max(right[1 - other], 0.0)
        return scaled / size
