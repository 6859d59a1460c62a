"""Undoes the steps that did harm: the result is the best state that was seen.

Single steps of a stochastic method are noisy, and the loss on their own photograph says little about the
others. So every few steps the loss on the same few photographs is measured, and compared with the lowest that
was measured. Where it rose by more than noise does, the model was trusted too far: the scene is again what it
was at the lowest, and steps are half as long from there on; where it fell, they become longer again. The last
check takes nothing that is above the lowest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gsplat_core.second_order.vectors import Vector

TOLERANCE = 1.1
"""By this factor noise may raise the loss; as steps shrink it goes by itself."""
GROWTH = 1.4
"""Two successes make up for a failure."""
SMALLEST = 2.0**-10


@dataclass
class Guard:
    """Args:
    lowest: the loss on the photographs of the checks, at the beginning.
    best: the parameters that had it.
    factor: on the length of steps.
    undone: how often the scene was taken back.
    """

    lowest: float
    best: dict[str, Tensor]
    factor: float = 1.0
    undone: int = 0

    @staticmethod
    def of(loss: float, params: Vector) -> Guard:
        return Guard(loss, {name: value.clone() for name, value in params.items()})

    def check(self, loss: float, params: Vector, last: bool = False) -> bool:
        """Whether the parameters stay; otherwise they are those of the lowest loss, in place.

        Args:
            last: no steps follow that could lower what is a little above the lowest.
        """
        if math.isfinite(loss) and loss <= self.lowest:
            self.lowest = loss
            for name, value in params.items():
                self.best[name].copy_(value)
            self.factor = min(self.factor * GROWTH, 1.0)
            return True
        if not last and loss <= TOLERANCE * self.lowest:
            return True
        for name, value in params.items():
            value.copy_(self.best[name])
        self.factor = max(self.factor / 2, SMALLEST)
        self.undone += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        return {"lowest": self.lowest, "factor": self.factor, "undone": self.undone, "best": dict(self.best)}

    @staticmethod
    def from_state_dict(state: dict[str, Any], device: torch.device) -> Guard:
        best = {name: value.to(device, copy=True) for name, value in state["best"].items()}
        return Guard(float(state["lowest"]), best, float(state["factor"]), int(state["undone"]))
