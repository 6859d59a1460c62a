"""Descent without derivatives: SPSA, for losses that nothing can differentiate.

Labels, the number of Gaussians in a pixel, the median depth and renderers of others tell a value, but no
gradient. Each step renders pairs of randomly moved parameters and makes a gradient of what that changes
(:mod:`gsplat_core.stochastic_gradients`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gsplat_core.optimizer import Optimizer
from gsplat_core.stochastic_gradients import Parameter, Pixels, draw

Closure: TypeAlias = Callable[[], Pixels | Tensor | float]


class SPSA(Optimizer):
    """Simultaneous perturbation stochastic approximation (Spall 1992; the gains of Spall 1998).

    In step k = 0, 1, ... parameters x are moved by e_k = `probe` / (k + 1)^`probe_decay` times random signs
    and back, and then by -a_k times the mean gradient g of `draws` such pairs, a_k = `lr` / (k / `delay` + 1)
    ^ `lr_decay`: lr is the first gain, and after `delay` steps gains fall.

    The closure computes the loss, without a derivative. It returns a number, or
    :class:`gsplat_core.stochastic_gradients.Pixels`, the losses of the pixels and which Gaussians are in
    them: for a scene that takes a few times fewer draws for the same gradient. Then the rows of all
    parameters are the Gaussians, but for those of groups with the option ``whole=True``, such as poses.

    ``estimate(closure)`` only writes the gradients, to ``.grad``, so that any other optimizer can go on with
    them, such as :class:`gsplat_core.optim.Adam` where parameters have different scales.

    State per parameter: ``step``, how many estimates there were, a float32 scalar. Density control may
    exchange rows between steps.

    Args:
        params: tensors or parameter groups, each with its own options if wanted.
        lr: the first gain.
        probe: how far parameters are first moved to see what happens, in their own unit: as little as the
            loss shows above its noise, and, where it jumps, as far as its jumps are apart.
        draws: pairs of renderings per step.
        lr_decay, probe_decay: exponents with which gains and probes fall; 0 for constant ones.
        delay: after so many steps gains have fallen to 2^-`lr_decay`.
        generator: of the signs; None for PyTorch's own.

    Raises:
        ValueError: an option out of range.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-2,
        probe: float = 1e-2,
        draws: int = 1,
        lr_decay: float = 0.602,
        probe_decay: float = 0.101,
        delay: float = 100.0,
        generator: torch.Generator | None = None,
    ) -> None:
        if not (isinstance(draws, int) and draws >= 1):
            raise ValueError(f"draws must be a positive number, got {draws!r}")
        self.draws, self.generator = draws, generator
        options = {"lr": lr, "probe": probe, "lr_decay": lr_decay, "probe_decay": probe_decay, "delay": delay}
        super().__init__(params, {**options, "whole": False})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters; options that it does not name have the defaults."""
        options = {**self.defaults, **param_group}
        for name in ("lr", "lr_decay", "probe_decay"):
            if not options[name] >= 0.0:
                raise ValueError(f"{name} must not be negative, got {options[name]}")
        for name in ("probe", "delay"):
            if not options[name] > 0.0:
                raise ValueError(f"{name} must be positive, got {options[name]}")
        super().add_param_group(param_group)

    @torch.no_grad()
    def estimate(self, closure: Closure) -> float:
        """Writes the mean of `draws` estimates to the gradients of all parameters, which stay as they are.

        Returns:
            The mean loss of all renderings: that of the parameters, up to the square of the probe.

        Raises:
            ValueError: what the closure returns does not fit the parameters.
        """
        params = [param for group in self.param_groups for param in group["params"]]
        before = [param.detach().clone() for param in params]
        asked = [
            Parameter(value, self._probe(param, group), group["whole"])
            for (group, param), value in zip(self._members(), before, strict=True)
        ]

        def measure(values: list[Tensor]) -> Pixels:
            _overwrite(params, values)
            return Pixels.of(closure())

        try:
            drawn = [draw(measure, asked, self.generator) for _ in range(self.draws)]
        finally:
            _overwrite(params, before)
        for param, *gradients in zip(params, *[one.gradients for one in drawn], strict=True):
            param.grad = torch.stack(gradients).mean(0)
            self.state[param]["step"] += 1
        return sum(one.loss for one in drawn) / len(drawn)

    @torch.no_grad()
    def step(self, closure: Closure) -> float:  # type: ignore[override]
        """One step of all parameters; see `estimate` for what it returns and raises."""
        loss = self.estimate(closure)
        for group, param in self._members():
            before = self._steps(param) - 1
            gain = group["lr"] / (before / group["delay"] + 1) ** group["lr_decay"]
            assert param.grad is not None
            param.add_(param.grad, alpha=-gain)
        return loss

    def _members(self) -> list[tuple[dict[str, Any], Tensor]]:
        return [(group, param) for group in self.param_groups for param in group["params"]]

    def _probe(self, param: Tensor, group: dict[str, Any]) -> float:
        return float(group["probe"] / (self._steps(param) + 1) ** group["probe_decay"])

    def _steps(self, param: Tensor) -> float:
        state = self.state[param]
        if not state:
            state["step"] = torch.tensor(0.0)
        return float(state["step"])


def _overwrite(params: list[Tensor], values: list[Tensor]) -> None:
    for param, value in zip(params, values, strict=True):
        param.copy_(value)
