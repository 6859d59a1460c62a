"""Gradients of operators, without PyTorch's detour in eager mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from gsplat_core.ops import library as library
from gsplat_core.ops.once import has_tangents


def below_autograd(operator: Callable[..., Any], *inputs: Any) -> Any:
    """The operator's result without autograd, whose detour is taken even where no gradient is wanted."""
    with torch._C._AutoDispatchBelowAutograd():
        return operator(*inputs)


def differentiable(
    name: str,
    setup_context: Callable[[Any, tuple[Any, ...], Any], None],
    backward: Callable[..., tuple[Any, ...]],
) -> Callable[..., Any]:
    """Registers the derivative of ``torch.ops.gsplat_core.<name>`` and returns a quick way to call it.

    The registration (``torch.library.register_autograd``) serves ``torch.compile``, ``torch.export`` and
    whoever calls the operator by its name. PyTorch's generic implementation of it spends about a third of a
    millisecond of every call on looking up default values in the schema, however; the function returned
    here is a ``torch.autograd.Function`` of the same two halves, which takes a tenth of that.

    Args:
        name: of the operator in the namespace ``gsplat_core``.
        setup_context: saves for backward what it needs, given context, inputs and output.
        backward: gradients of the inputs from the context and the gradients of the outputs.

    Returns:
        A function of the operator's positional arguments, all of which must be given.
    """
    operator = getattr(torch.ops.gsplat_core, name).default
    torch.library.register_autograd(f"gsplat_core::{name}", backward, setup_context=setup_context)

    def forward(context: Any, *inputs: Any) -> Any:
        output = below_autograd(operator, *inputs)
        setup_context(context, inputs, output)
        return output

    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    function = type(name, (torch.autograd.Function,), members)

    def call(*inputs: Any) -> Any:
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return operator(*inputs)
        return function.apply(*inputs)  # type: ignore[attr-defined]

    return call


def only_in_reverse(
    name: str,
    setup_context: Callable[[Any, tuple[Any, ...], Any], None],
    backward: Callable[..., tuple[Any, ...]],
) -> Callable[..., Any]:
    """As `differentiable`, for operators without a forward mode: tangents are refused, not dropped."""
    quick = differentiable(name, setup_context, backward)

    def call(*inputs: Any) -> Any:
        if has_tangents(inputs):
            raise NotImplementedError(
                f"gsplat_core has no forward-mode derivatives of this operator ({name}): use reverse mode."
            )
        return quick(*inputs)

    return call
