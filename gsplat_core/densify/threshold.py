"""From which mean gradient on a Gaussian grows: the thresholds of adaptive density control.

    absolute     a fixed gradient, as in 3DGS
    top:0.025    that of the Gaussian at this share of the ranking, so that so many grow (Zeng et al. 2024,
                 "STAG4D", section 3.3)
    ema:3        so many times what gradients used to be: the running mean of the mean over all Gaussians

Gradients are in proportion to the loss. A fixed threshold means something for one loss only: ten times the
loss, or a loss with noise in it, is another density control. The two others ask how gradients compare with
each other, and with those before.

Zero gradients and those that are not finite are no gradients here: they are in no ranking and no mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from torch import Tensor

from gsplat_core.ranges import POSITIVE, SOME_SHARE, ranges_of

# Of the running mean, per refinement: the last five count.
DECAY = 0.8


@dataclass(frozen=True)
class Threshold:
    """A rule. What it remembers of earlier refinements is kept by whoever asks it.

    Attributes:
        memory: the numbers it remembers, as they are at the start.
    """

    memory: ClassVar[Mapping[str, float]] = {}

    def value(self, gradients: Tensor, num: int, memory: Mapping[str, float]) -> float:
        """The gradient from which on a Gaussian grows at this refinement; infinite if none shall.

        Args:
            gradients: [M] positive and finite, of those who have one and may grow.
            num: how many may grow, M or more.
            memory: as `remembered` returned it last.
        """
        raise NotImplementedError

    def remembered(self, gradients: Tensor, memory: Mapping[str, float]) -> dict[str, float]:
        """What to remember after a refinement with these gradients."""
        return dict(memory)


@dataclass(frozen=True)
class Absolute(Threshold):
    """The same gradient always."""

    gradient: Annotated[float, POSITIVE]

    def value(self, gradients: Tensor, num: int, memory: Mapping[str, float]) -> float:
        return self.gradient


@dataclass(frozen=True)
class Top(Threshold):
    """So that a share of all who may grow do: those with the largest gradients."""

    share: Annotated[float, SOME_SHARE]

    def value(self, gradients: Tensor, num: int, memory: Mapping[str, float]) -> float:
        rank = min(round(self.share * num), len(gradients))
        return float(gradients.kthvalue(len(gradients) - rank + 1).values) if rank else math.inf


@dataclass(frozen=True)
class Relative(Threshold):
    """A multiple of the running mean over refinements, this one included, of the mean gradient."""

    factor: Annotated[float, POSITIVE]
    memory: ClassVar[Mapping[str, float]] = {"mean_gradient": math.nan}

    def value(self, gradients: Tensor, num: int, memory: Mapping[str, float]) -> float:
        mean = self.remembered(gradients, memory)["mean_gradient"]
        return math.inf if math.isnan(mean) else self.factor * mean

    def remembered(self, gradients: Tensor, memory: Mapping[str, float]) -> dict[str, float]:
        before = memory["mean_gradient"]
        if not len(gradients):
            return {"mean_gradient": before}
        now = float(gradients.double().mean())
        return {"mean_gradient": now if math.isnan(before) else DECAY * before + (1 - DECAY) * now}


RULES: dict[str, type] = {"top": Top, "ema": Relative}


def parse_threshold(text: str, gradient: float) -> Threshold:
    """The rule that a text such as "top:0.025" names.

    Args:
        gradient: the threshold of "absolute".

    Raises:
        ValueError: it names none, or its number is missing or out of range.
    """
    if text == "absolute":
        return Absolute(gradient)
    name, _, number = text.partition(":")
    if (rule := RULES.get(name)) is None:
        raise ValueError(f"threshold = {text!r:.80}: expected absolute, top:SHARE or ema:FACTOR")
    (allowed,) = ranges_of(rule).values()
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if value not in allowed:
        raise ValueError(f"threshold = {text!r:.80}: expected {name}: and a number {allowed}")
    chosen: Threshold = rule(value)
    return chosen
