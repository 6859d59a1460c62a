"""Operators that compute derivatives of other operators, which they are tied to by the names in schemas.

- The arguments that both have, by the same name, come first: they are handed over as they are.
- ``t_NAME``, an argument in forward mode, is the tangent of the argument NAME.
- ``v_NAME``, a result in reverse mode, is the gradient of the argument NAME.

So an argument that is added to an operator and to its derivatives needs no line in Python.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gsplat_core.ops.arguments import argument_names, overload, pick
from gsplat_core.ops.once import once

Context = Any


class Derivative:
    """The operator `name`, which differentiates the operator `of`.

    Raises:
        TypeError: their schemas do not fit together.
    """

    def __init__(self, name: str, of: str) -> None:
        self._operator = overload(name)
        schema, given = self._operator._schema, argument_names(of)
        own = argument_names(name)
        shared = [argument for argument in own if argument in given]
        if own[: len(shared)] != shared:
            raise TypeError(f"gsplat_core::{name} must begin with the arguments that {of} has too")
        kinds = {argument.name: str(argument.type) for argument in schema.arguments}
        tensors = [argument for argument in shared if "Tensor" in kinds[argument]]
        others = [argument for argument in shared if argument not in tensors]
        order = [(tensors + others).index(argument) for argument in shared]
        self._order = order
        self._own = own[len(shared) :]
        self.shared = pick(of, shared)
        """Takes the shared arguments out of the inputs of `of`."""
        self._tensors, self._others, self._count = pick(of, tensors), pick(of, others), len(tensors)
        self._tangents = [argument for argument in self._own if argument.removeprefix("t_") in given]
        self._tangents_of = pick(of, [argument.removeprefix("t_") for argument in self._tangents])
        self._places = {argument: place for place, argument in enumerate(given)}
        self._gradients = [
            self._places[result.name.removeprefix("v_")]
            for result in schema.returns
            if result.name.startswith("v_")
        ]

    def __call__(self, shared: tuple[Any, ...], **own: Any) -> Any:
        """The results, which cannot be differentiated again.

        Args:
            shared: the arguments that both operators have.
            own: all others.
        """
        return once(self._operator, *shared, *map(own.__getitem__, self._own))

    def save(self, ctx: Context, inputs: tuple[Any, ...], *outputs: Tensor) -> None:
        """Keeps for `saved` the shared ones of the inputs, and these outputs."""
        ctx.save_for_backward(*self._tensors(inputs), *outputs)
        ctx.shared_others = self._others(inputs)

    def saved(self, ctx: Context) -> tuple[tuple[Any, ...], tuple[Tensor, ...]]:
        """The shared arguments and the outputs that were saved."""
        saved = ctx.saved_tensors
        shared = (*saved[: self._count], *ctx.shared_others)
        return tuple(map(shared.__getitem__, self._order)), saved[self._count :]

    def needs(self, ctx: Context, *names: str) -> bool:
        """Whether a gradient of one of these arguments is wanted."""
        for name in names:  # noqa: SIM110  (every step asks; a generator is dearer than the question)
            if ctx.needs_input_grad[self._places[name]]:
                return True
        return False

    def gradients(self, ctx: Context, results: tuple[Tensor, ...], **others: Tensor | None) -> Any:
        """What backward returns: the gradients of all inputs, None where there is none or none is wanted.

        Args:
            results: of the operator.
            others: gradients that it does not compute, by the names of the inputs.
        """
        gradients: list[Tensor | None] = [None] * len(self._places)
        for place, result in zip(self._gradients, results, strict=True):
            if ctx.needs_input_grad[place]:
                gradients[place] = result
        for name, gradient in others.items():
            gradients[self._places[name]] = gradient
        return tuple(gradients)

    def tangents(self, tangents: tuple[Any, ...]) -> dict[str, Any]:
        """The operator's own arguments that are tangents of inputs, out of those of all inputs."""
        return dict(zip(self._tangents, self._tangents_of(tangents), strict=True))
