"""Applies edits to a scene in training: parameters, optimizer moments and extra fields stay together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping

import torch
from torch import Tensor

from gsplat_core.densify.buffer import RowBuffer
from gsplat_core.densify.edits import Edit
from gsplat_core.densify.frozen import sparing
from gsplat_core.densify.plan import RowPlan, compile_edits, reordering
from gsplat_core.scene.schema import FROZEN, PACE


class ParameterStore:
    """The tensors that have one row per Gaussian, and the optimizers that train some of them.

    Args:
        params: trainable tensors by name, [N, ...] each: leaf tensors, such as `Gaussians.params` or a plain
            dictionary of `torch.nn.Parameter`.
        optimizers: one optimizer for all, or several in any mapping or iterable (for example one per name). A
            parameter is found by identity, so names of groups do not matter. Parameters without an optimizer
            are allowed.
        extras: further tensors [N, ...] by name, such as `Gaussians.extras`. May be empty. Where `frozen`,
            bool [N], is among them, edits leave its rows alone (`densify/frozen.py`). `pace`, float [N], is
            for the optimizer.
        most: a number of Gaussians that will not be exceeded, if known: saves memory near it.
        shared: tensors that all rows share (`Schema.shared`); edits do not concern them.

    What happens to objects that the caller holds:

    - The parameter **objects stay**: their data is exchanged, so optimizers, parameter groups and other
      references remain valid. When the number or place of rows changes, `.grad` becomes None, and a graph
      built before must not be differentiated any more; other views of the same memory (`.detach()`) are not
      valid any more either.
    - Tensors in `extras` are replaced in the given dictionary (without a change of rows: written in place).
    - Optimizer state with the parameter's shape (`exp_avg`, `exp_avg_sq`, `max_exp_avg_sq`, momentum buffers)
      follows its rows; everything else in the state, such as the global `step`, is kept.

    Memory grows by doubling (`RowBuffer`); tensors are moved one after another, so the extra memory at any
    time is one tensor, not a scene.

    Raises:
        ValueError: tensors disagree in N or device, are not leaves, a name is both parameter and extra, or
            `frozen` is no mask or `pace` no number for each row.
    """

    def __init__(
        self,
        params: Mapping[str, Tensor],
        optimizers: torch.optim.Optimizer
        | Mapping[str, torch.optim.Optimizer]
        | Iterable[torch.optim.Optimizer] = (),
        extras: MutableMapping[str, Tensor] | None = None,
        most: int | None = None,
        shared: Mapping[str, Tensor] | None = None,
    ) -> None:
        if isinstance(optimizers, torch.optim.Optimizer):
            optimizers = [optimizers]
        elif isinstance(optimizers, Mapping):
            optimizers = optimizers.values()
        self.params = dict(params)
        self.optimizers = list(optimizers)
        self.extras: MutableMapping[str, Tensor] = {} if extras is None else extras
        self.most = most
        self.shared = dict(shared or {})
        self._buffers: defaultdict[object, RowBuffer] = defaultdict(RowBuffer)
        self._check()

    @property
    def reallocations(self) -> int:
        """How often the tensor that was reallocated most often was."""
        return max((buffer.reallocations for buffer in self._buffers.values()), default=0)

    def learning_rates(self) -> dict[str, float]:
        """The present learning rate of each parameter that an optimizer trains."""
        rates = {
            id(param): float(group["lr"])
            for optimizer in self.optimizers
            for group in optimizer.param_groups
            for param in group["params"]
        }
        return {name: rates[id(param)] for name, param in self.params.items() if id(param) in rates}

    @property
    def num(self) -> int:
        """Number of Gaussians now."""
        return next(iter(self.params.values())).shape[0]

    @property
    def frozen(self) -> Tensor | None:
        """bool [N], the rows that no optimizer may move and no edit changes; None where there are none."""
        return self.extras.get(FROZEN)

    @property
    def pace(self) -> Tensor | None:
        """[N], by what an optimizer multiplies the steps of each row; None: by 1."""
        return self.extras.get(PACE)

    @property
    def free(self) -> Tensor | None:
        """bool [N], the rows that are not frozen; None: all. What an optimizer is told as `visible`."""
        return None if self.frozen is None else ~self.frozen

    def set_extras(self, values: Mapping[str, Tensor]) -> None:
        """Gives extra fields other values, [N, ...] as they have them now."""
        for name, value in values.items():
            self.extras[name].copy_(value)

    @torch.no_grad()
    def apply(self, edits: Iterable[Edit]) -> RowPlan:
        """Carries out a transaction of edits.

        Returns:
            The plan that was followed, for `strategy.follow(plan)` and for tensors that are kept elsewhere
            (`plan.follow(tensor)`).

        Raises:
            ValueError: rows or values that do not fit the scene; nothing has been changed then.
        """
        self._check()
        if self.frozen is not None:
            edits = sparing(edits, self.frozen)
        plan = compile_edits(edits, self.num, next(iter(self.params.values())).device)
        self._check_values(plan)
        self._carry_out(plan)
        return plan

    @torch.no_grad()
    def reorder(self, order: Tensor) -> RowPlan:
        """Puts row `order[i]` at place i, with its moments and extra fields.

        Args:
            order: a permutation [N] int64.

        Returns:
            The plan that was followed, as `apply` does.

        Raises:
            ValueError: it is no permutation of the rows.
        """
        self._check()
        if len(order) != self.num:
            raise ValueError(f"an order of {len(order)} rows, but the scene has {self.num}")
        plan = reordering(order)
        self._carry_out(plan)
        return plan

    def _carry_out(self, plan: RowPlan) -> None:
        for name, param in self.params.items():
            shape = param.shape
            if not plan.stays:
                param.grad = None
                param.data = self._buffers[name].follow(param.data, plan, most=self.most)
            plan.write_(param, name)
            for number, optimizer in enumerate(self.optimizers):
                state = optimizer.state.get(param, {})
                for key, value in state.items():
                    if isinstance(value, Tensor) and value.shape == shape:
                        if not plan.stays:
                            buffer = self._buffers[name, number, key]
                            state[key] = buffer.follow(value, plan, blank=True, most=self.most)
                        plan.forget_(state[key], name)
        for name, extra in self.extras.items():
            if not plan.stays:
                self.extras[name] = self._buffers[name].follow(extra, plan, most=self.most)
            plan.write_(self.extras[name], name)

    def _check(self) -> None:
        if not self.params:
            raise ValueError("expected at least one parameter")
        first_name, first = next(iter(self.params.items()))
        for name, tensor in [*self.params.items(), *self.extras.items()]:
            if tensor.ndim < 1 or tensor.shape[0] != first.shape[0] or tensor.device != first.device:
                raise ValueError(
                    f"{name} {list(tensor.shape)} on {tensor.device} does not have the rows of "
                    f"{first_name} {list(first.shape)} on {first.device}"
                )
        frozen = self.frozen
        if frozen is not None and (frozen.dtype != torch.bool or frozen.ndim != 1):
            raise ValueError(f"{FROZEN}: expected bool [N], got {frozen.dtype} {list(frozen.shape)}")
        pace = self.pace
        if pace is not None and (not pace.is_floating_point() or pace.ndim != 1 or bool((pace < 0).any())):
            raise ValueError(
                f"{PACE}: expected floating point [N] of at least 0, got {pace.dtype} {list(pace.shape)}"
            )
        for name, param in self.params.items():
            if not param.is_leaf:
                raise ValueError(f"{name} is the result of a computation; a store needs leaf tensors")
            if name in self.extras:
                raise ValueError(f"{name} is both a parameter and an extra field")

    def _check_values(self, plan: RowPlan) -> None:
        fields = {**self.params, **self.extras}
        for overwrite in plan.overwrites:
            for name, value in overwrite.values.items():
                if name not in fields:
                    raise ValueError(f"an edit sets {name!r}, but the scene has only {', '.join(fields)}")
                if value.shape[1:] != fields[name].shape[1:]:
                    raise ValueError(
                        f"an edit sets {name!r} to rows of shape {list(value.shape[1:])}, "
                        f"expected {list(fields[name].shape[1:])}"
                    )
