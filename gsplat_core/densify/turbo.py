"""A budget that waits for convergence, and growth only where views look often (Lu et al. 2024, "Turbo-GS").

After a warm-up, the loss falls as a power of the iteration. While it falls more slowly than it used to,
Gaussians that are there are still learning, and growth waits; while it falls faster, growth hurries:

    number(t) = initial + (final - initial) (t^a - 1) / (100^a - 1),    a = base + 0.5 tanh(deviation)

with t from 1 to 100 over the time of growth, and the deviation of the recent exponent of the loss from its
running mean, in units of that mean.

Only Gaussians that show in many views multiply. Of the paper's constants the exponent's base, the running
mean's decay, the window and the number of views are not published; docs/strategies.md tells how these were
chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch

from gsplat_core.densify.budget import Budget
from gsplat_core.densify.edits import Edit
from gsplat_core.densify.plugin import Plugin
from gsplat_core.densify.strategy import RenderStats, SceneView, Strategy, Wants
from gsplat_core.ranges import NOT_NEGATIVE, Range, check_ranges

_EVER_SEEN = 1e-3  # blending weight, summed over a view's pixels, from which a Gaussian shows in it


@dataclass(frozen=True)
class TurboConfig(Budget):
    """The budget, and how its filling follows the loss.

    Args:
        base: the exponent when the loss falls as it used to; below 1 growth is steep at first.
        decay: of the running means of loss and exponent, per refinement.
        visits: a Gaussian multiplies if it shows in at least this share of the views of a typical (median)
            visible one since the last refinement; 0 for no such rule.

    Raises:
        ValueError: a value outside its range.
    """

    base: Annotated[float, Range(0.5, 1e6, "least")] = 0.6
    decay: Annotated[float, Range(0, 1, "most")] = 0.8
    visits: Annotated[float, NOT_NEGATIVE] = 0.5

    def __post_init__(self) -> None:
        check_ranges(self)


class Turbo(Plugin):
    """The plug-in; see the module."""

    def __init__(self, base: Strategy, config: TurboConfig | None = None) -> None:
        self.config = TurboConfig() if config is None else config
        super().__init__(base)
        self.numbers = {
            "initial": 0.0,
            "log_loss_sum": 0.0,  # since the last refinement; logarithms, which a power law makes a line
            "log_step_sum": 0.0,
            "count": 0.0,
            "last_log_loss": math.nan,
            "last_log_step": math.nan,
            "exponent": math.nan,  # running mean
            "deviation": 0.0,
        }

    def initialize(self, num: int, device: torch.device | str) -> None:
        super().initialize(num, device)
        self.numbers["initial"] = float(num)
        self.rows = {"visits": torch.zeros(num, device=device)}

    def wants(self, step: int) -> Wants:
        return super().wants(step) | Wants(weights=self.config.visits > 0 and step < self.config.stop)

    @torch.no_grad()
    def on_backward(self, step: int, stats: RenderStats) -> None:
        super().on_backward(step, stats)
        if step >= self.config.stop:
            return
        photographs = stats.photographs
        if stats.images is None or photographs is None:
            raise ValueError("Turbo needs RenderStats.images and .targets")
        loss = float((stats.images - photographs).abs().mean())
        self.numbers["log_loss_sum"] += math.log(max(loss, 1e-12))
        self.numbers["log_step_sum"] += math.log(step)
        self.numbers["count"] += 1
        if self.config.visits > 0:
            if stats.weights is None:
                raise ValueError("Turbo needs RenderStats.weights")
            self.check_rows(stats.weights.shape[1])
            self.rows["visits"] += (stats.weights[..., 1] > _EVER_SEEN).sum(dim=0)

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        if self.grows_at(step):
            self._learn()
            guidance = view.guidance.also(limit=max(self._limit(step), view.num))
            if self.config.visits > 0:
                guidance = guidance.also(eagerness=self._visited().to(view.params["means"]))
                self.rows["visits"].zero_()
            view = replace(view, guidance=guidance)
        return super().on_step(step, view)

    def _learn(self) -> None:
        """Compares the exponent of the loss since the last refinement with the running mean."""
        n = self.numbers
        if n["count"]:
            log_loss, log_step = n["log_loss_sum"] / n["count"], n["log_step_sum"] / n["count"]
            if not math.isnan(n["last_log_loss"]):
                recent = (log_loss - n["last_log_loss"]) / (log_step - n["last_log_step"])
                if math.isnan(n["exponent"]):
                    n["exponent"] = recent
                # Less negative than usual is slower than usual.
                n["deviation"] = (recent - n["exponent"]) / max(abs(n["exponent"]), 1e-3)
                n["exponent"] = self.config.decay * n["exponent"] + (1 - self.config.decay) * recent
            n["last_log_loss"], n["last_log_step"] = log_loss, log_step
        n["log_loss_sum"] = n["log_step_sum"] = n["count"] = 0.0

    def _limit(self, step: int) -> int:
        c, initial = self.config, self.numbers["initial"]
        t = 1 + 99 * c.elapsed(step)
        a = c.base + 0.5 * math.tanh(self.numbers["deviation"])
        return math.floor(initial + (c.final(initial) - initial) * (t**a - 1) / (100**a - 1))

    def _visited(self) -> torch.Tensor:
        """[N] whether a Gaussian shows in enough views."""
        visits = self.rows["visits"]
        seen = visits[visits > 0]
        return visits >= self.config.visits * (seen.median() if len(seen) else 0)
