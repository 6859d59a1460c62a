"""A scene under a density control, whose rows and moments can be followed."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.densify import ParameterStore, SceneView, Strategy

Params = dict[str, torch.nn.Parameter]


class TrackedScene:
    """Parameters, optimizer and strategy.

    The extra field `row` is the number of each Gaussian's row at the start, which copies inherit. Adam's
    moments are 1 at the start, so that zeroing shows.
    """

    def __init__(self, params: Params, strategy: Strategy) -> None:
        self.params = params
        self.extras = {"row": torch.arange(len(params["means"]))}
        self.optimizer = torch.optim.Adam(list(params.values()), lr=0.0, eps=1e-15)
        sum(p.sum() for p in params.values()).backward()
        self.optimizer.step()
        for state in self.optimizer.state.values():
            state["exp_avg"].fill_(1)
            state["exp_avg_sq"].fill_(1)
        self.store = ParameterStore(params, self.optimizer, self.extras)
        self.strategy = strategy
        strategy.initialize(self.store.num, "cpu")

    def on_step(self, step: int, view: SceneView) -> list[int]:
        """Applies the strategy's edits; returns the original row of every Gaussian afterwards."""
        self.strategy.follow(self.store.apply(self.strategy.on_step(step, view)))
        return self.extras["row"].tolist()

    def opacities(self) -> Tensor:
        """[N] float64"""
        return self.params["opacities"].detach().double().sigmoid()


def copy(params: Params) -> Params:
    """The same values in parameters of their own."""
    return {name: torch.nn.Parameter(p.detach().clone()) for name, p in params.items()}


def repeated(params: Params, count: int) -> Params:
    """That many copies of each row."""
    return {
        name: torch.nn.Parameter(p.detach().repeat(count, *[1] * (p.ndim - 1))) for name, p in params.items()
    }
