"""Undoes the steps that did harm: the result is the best state that was seen.

Each step measures its photograph's loss before it moves anything. The last move that this photograph had a
say in lies a turn over all of them back, or before the beginning; so what it tells is what the moves on the
*others* were worth for it. In the first turn every photograph is held back until its step comes. This costs
no rendering of its own, where the loss of an optimizer's last steps on the photographs of these steps would
always look good.

Losses of different photographs are compared by their ratios to what each was at the beginning, in windows of
some steps. Where a window's ratio is higher than the lowest by more than noise makes it, the model was
trusted too far: the scene is again what it was after the lowest, and steps are half as long from there on;
where it is lower they become longer again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gsplat_core.second_order.vectors import Vector

TOLERANCE = 1.1
"""By this factor noise may raise a window's ratio. In the first turn that of Adam's own steps rises by 4
hundredths, as the beginning knows photographs whose turn had just been."""
GROWTH = 1.4
"""Two successes make up for a failure."""
SMALLEST = 2.0**-10


@dataclass
class Guard:
    """Args:
    reference: the loss of each photograph at the beginning.
    best: the parameters after the window with the lowest ratio.
    lowest: this ratio; 1 at the beginning.
    factor: on the length of steps.
    undone: how often the scene was taken back.
    seen, expected: sums of the losses of this window, and of what they were at the beginning.
    """

    reference: list[float]
    best: dict[str, Tensor]
    lowest: float = 1.0
    factor: float = 1.0
    undone: int = 0
    seen: float = 0.0
    expected: float = 0.0

    @staticmethod
    def of(reference: Sequence[float], params: Vector) -> Guard:
        return Guard(list(reference), {name: value.clone() for name, value in params.items()})

    def see(self, photograph: int, loss: float) -> None:
        """Takes the loss of a photograph before the step on it."""
        self.seen += loss
        self.expected += self.reference[photograph]

    @property
    def succeeded(self) -> bool:
        """Whether a window was better than the beginning; as long as none was, that is the best state."""
        return self.lowest < 1

    def check(self, params: Vector) -> bool:
        """Ends a window. Whether the parameters stay; otherwise they become the best ones, in place."""
        ratio = self.seen / self.expected if self.expected > 0 else 1.0
        self.seen = self.expected = 0.0
        if math.isfinite(ratio) and ratio < self.lowest:
            self.lowest = ratio
            for name, value in params.items():
                self.best[name].copy_(value)
            self.factor = min(self.factor * GROWTH, 1.0)
            return True
        if ratio <= TOLERANCE * self.lowest:
            return True
        self.restore(params)
        self.factor = max(self.factor / 2, SMALLEST)
        self.undone += 1
        return False

    def restore(self, params: Vector) -> None:
        """Makes the parameters the best ones, in place."""
        for name, value in params.items():
            value.copy_(self.best[name])

    def state_dict(self) -> dict[str, Any]:
        return {**vars(self), "reference": list(self.reference), "best": dict(self.best)}

    @staticmethod
    def from_state_dict(state: dict[str, Any], device: torch.device) -> Guard:
        return Guard(
            reference=[float(loss) for loss in state["reference"]],
            best={name: value.to(device, copy=True) for name, value in state["best"].items()},
            lowest=float(state["lowest"]),
            factor=float(state["factor"]),
            undone=int(state["undone"]),
            seen=float(state["seen"]),
            expected=float(state["expected"]),
        )
