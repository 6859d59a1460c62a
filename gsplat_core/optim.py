"""Adam for scenes of Gaussians: in place, one pass over memory, and able to skip what is not in view."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

from gsplat_core.ops.adam import Update, adam_step_
from gsplat_core.optimizer import Optimizer
from gsplat_core.rest import Rest


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015) with the results and the state of ``torch.optim.Adam``.

    State per parameter: ``step`` (float32 scalar), ``exp_avg``, ``exp_avg_sq``; a ``state_dict`` of torch's
    class can be loaded. Nothing else is kept between steps, so density control may exchange parameters and
    state tensors for others with more or fewer rows.

    In a group with the option `by_row=True` each row of a parameter [N, ...] is trained as if it were a
    parameter by itself: a step leaves rows whose gradient is zero where they are, with their moments and
    their count of steps; ``step`` is [N] there. That is for what belongs to photographs, of which a step sees
    one: momentum would carry on what belongs to the others.

    Args:
        params: float32 tensors or parameter groups, each with its own ``lr``, ``betas``, ``eps`` if wanted;
            perhaps none, and groups are added later.
        lr: learning rate.
        betas: decay of the running means of the gradient and of its square.
        eps: added to the denominator. Gradients of Gaussian positions can be 1e-8 and smaller; with torch's
            default of 1e-8 they would hardly move, so the default here is 1e-15.
        bias_correction: Adam's division of the moments by ``1 - beta^step``. False together with ``visible``
            gives the selective Adam of Taming 3DGS (Mallick et al. 2024), whose first steps are larger.

    Raises:
        ValueError: an option out of range.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-15,
        bias_correction: bool = True,
    ) -> None:
        self._rest = Rest()
        groups: list[Any] = list(params)
        defaults = {"lr": lr, "betas": betas, "eps": eps, "bias_correction": bias_correction}
        super().__init__(groups or [{"params": []}], defaults)
        if not groups:  # torch's class wants one
            self.param_groups.clear()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters; options that it does not name have the defaults."""
        options = {**self.defaults, **param_group}
        if options["lr"] < 0.0:
            raise ValueError(f"lr must not be negative, got {options['lr']}")
        if not all(0.0 <= beta < 1.0 for beta in options["betas"]):
            raise ValueError(f"betas must lie in [0, 1), got {options['betas']}")
        if options["eps"] < 0.0:
            raise ValueError(f"eps must not be negative, got {options['eps']}")
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Completes a state that torch.optim.Adam saved; refuses one that used options missing here."""
        super().__setstate__(state)
        self._rest = Rest()
        for group in self.param_groups:
            for option in ("weight_decay", "amsgrad", "maximize"):
                if group.get(option):
                    raise ValueError(f"the saved state uses {option}={group[option]}, which this Adam lacks")
            group.setdefault("bias_correction", self.defaults["bias_correction"])

    @overload
    def step(
        self, closure: None = None, *, visible: Tensor | None = None, pace: Tensor | None = None
    ) -> None: ...

    @overload
    def step(
        self, closure: Callable[[], float], *, visible: Tensor | None = None, pace: Tensor | None = None
    ) -> float: ...

    @torch.no_grad()
    def step(
        self,
        closure: Callable[[], float] | None = None,
        *,
        visible: Tensor | None = None,
        pace: Tensor | None = None,
    ) -> float | None:
        """One step of all parameters that have a gradient.

        Args:
            closure: recomputes the loss, as in every torch optimizer.
            visible: bool [N]. Rows n with False keep their values and moments, as if they were not part of
                this step. They save time where 64 neighbours in a row are False, or where rows are long (SH
                coefficients). All parameters that have a gradient must have N rows then, but for those of
                groups with the option `whole=True` or `by_row=True`, which it does not concern.
            pace: [N] in the parameters' dtype, at least 0: row n goes so many times as far as it would. It is
                a factor on the step because one on the gradient would do nothing: Adam divides by the size of
                the gradients. At 0 a row stays where it is, while its moments go on; `visible` stops both.
                Takes a copy of one parameter at a time. Groups as for `visible`.

        Raises:
            RuntimeError: a parameter, gradient, mask or pace of the wrong shape or dtype.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                if group.get("by_row"):
                    self._step_by_row(param, param.grad, group)
                    continue
                exp_avg, exp_avg_sq, step, lr, options, _ = self._next_update(param, group)
                rows, paces = (None, None) if group.get("whole") else (visible, pace)
                start = None if paces is None else param.detach().clone()
                adam_step_(param, param.grad, exp_avg, exp_avg_sq, rows, step, lr, *options)
                if start is not None and paces is not None:
                    param.copy_(_paced(start, param.detach(), paces))
                # Autograd has to notice the change, so that a graph that still needs the old value complains.
                torch.autograd.graph.increment_version(param)
        return loss

    def next_update(self, param: Tensor, moved: int | None = None) -> Update:
        """Begins a step of this parameter alone, for an operator that carries it out.

        Args:
            param: [N, ...]
            moved: of a parameter [N, K, ...], only entries [:, :moved] have gradients in this step; None: all
                may have.

        Raises:
            ValueError: the parameter is not one of this optimizer's.
        """
        for group in self.param_groups:
            for trained in group["params"]:
                if trained is param:
                    return self._next_update(param, group, moved)
        raise ValueError(f"a parameter of shape {list(param.shape)} is not trained by this optimizer")

    def _next_update(self, param: Tensor, group: dict[str, Any], moved: int | None = None) -> Update:
        state = self._state_of(param)
        state["step"] += 1
        moments = (state["exp_avg"], state["exp_avg_sq"])
        if moved is None:
            self._rest.pop(param, None)
        return Update(
            *moments,
            int(state["step"].item()),
            float(group["lr"]),
            (*group["betas"], group["eps"], group["bias_correction"]),
            moved is not None and self._rest.lasts(param, moments, moved),
        )

    def _step_by_row(self, param: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self._state_of(param, param.new_zeros(len(param)))
        seen = grad.reshape(len(grad), -1).any(dim=1)
        state["step"] += seen
        beta1, beta2 = group["betas"]
        steps = state["step"].double().clamp(min=1)
        corrections = (1 - beta2**steps).sqrt() / (1 - beta1**steps)
        start = param.detach().clone()
        adam_step_(
            param, grad, state["exp_avg"], state["exp_avg_sq"], seen, 1, float(group["lr"]),
            beta1, beta2, group["eps"], False,
        )  # fmt: skip
        param.copy_(_paced(start, param.detach(), corrections.to(param.dtype)))
        torch.autograd.graph.increment_version(param)

    def _state_of(self, param: Tensor, none: Tensor | None = None) -> dict[str, Tensor]:
        state = self.state[param]
        if not state:
            state["step"] = torch.tensor(0.0) if none is None else none
            state["exp_avg"] = torch.zeros_like(param)
            state["exp_avg_sq"] = torch.zeros_like(param)
        return state


def _paced(start: Tensor, end: Tensor, pace: Tensor) -> Tensor:
    """Rows [N, ...] that many times as far from start to end, to the bit where that is 0 or 1 times."""
    if pace.shape != start.shape[:1] or pace.dtype != start.dtype:
        raise RuntimeError(
            f"pace must be {start.dtype} [{len(start)}], a number for each row of a parameter of shape "
            f"{list(start.shape)}; got {pace.dtype} {list(pace.shape)}"
        )
    return torch.lerp(start, end, pace.reshape(-1, *[1] * (start.dim() - 1)))
