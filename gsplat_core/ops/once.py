"""Derivatives that cannot be differentiated once more say so: never is a second derivative silently zero.

The kernels of derivatives, ``composite_backward`` or ``project_jvp`` for example, have none of their own.
PyTorch takes the result of such an operator for a constant, so that Hessian products, gradient penalties and
the like would lack the operator's share. Every derivative therefore calls its kernel through `once`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad


def once(operator: Callable[..., Any], *inputs: Any) -> Any:
    """The results of a derivative's kernel; differentiating them, in whichever mode, is an error.

    Raises:
        NotImplementedError: an input carries a tangent. Later, if the results are differentiated.
    """
    _refuse_tangents(operator, inputs)  # which the kernel would drop, before it takes its time
    return _not_recorded(operator, operator(*inputs), inputs)


def only(operator: Any, results: Any, inputs: tuple[Any, ...]) -> Any:
    """The results of an operator that depend on these inputs in a way that cannot be differentiated.

    Raises:
        NotImplementedError: as `once`.
    """
    _refuse_tangents(operator, inputs)
    return _not_recorded(operator, results, inputs)


def _not_recorded(operator: Any, results: Any, inputs: tuple[Any, ...]) -> Any:
    """The results; where autograd records what is computed from the inputs, it refuses to pass through."""
    if not is_recorded(inputs):
        return results
    several = isinstance(results, tuple)
    outputs = results if several else (results,)
    # Only an edge to the inputs themselves lets autograd come here when it looks for their derivatives.
    sources = [value for value in inputs if isinstance(value, Tensor) and value.is_floating_point()]
    refused = _Refusal.apply(operator, len(outputs), *outputs, *sources)
    return refused if several else refused[0]


def _refuse_tangents(operator: Any, inputs: tuple[Any, ...]) -> None:
    if has_tangents(inputs):
        raise _not_twice(operator)


def is_differentiated(inputs: tuple[Any, ...]) -> bool:
    """Whether what is computed from these is differentiated, in either mode."""
    return is_recorded(inputs) or has_tangents(inputs)


def is_recorded(inputs: tuple[Any, ...]) -> bool:
    """Whether autograd records what is computed from these. Not while PyTorch traces a graph, which it
    differentiates once and refuses to differentiate again."""
    if torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active():
        return (
            True  # an outer transform may record, or carry tangents, which cannot be seen from an inner one
        )
    if not torch.is_grad_enabled():
        return False
    return any(isinstance(value, Tensor) and value.requires_grad for value in inputs)


def has_tangents(inputs: tuple[Any, ...]) -> bool:
    """Whether forward-mode AD is on and one of these carries a tangent."""
    # Without an open level, as in every training step, there is nothing to look for.
    if torch.compiler.is_compiling() or forward_ad._current_level < 0:
        return False
    return any(
        isinstance(value, Tensor) and forward_ad.unpack_dual(value).tangent is not None for value in inputs
    )


def _not_twice(operator: Any) -> NotImplementedError:
    name = str(operator).removeprefix("gsplat_core.").removesuffix(".default")
    return NotImplementedError(
        f"gsplat_core has no second derivatives of this operator ({name} cannot be differentiated). "
        "Use first derivatives only: no create_graph=True, no Hessian; differences of gradients give "
        "products with a Hessian."
    )


class _Refusal(torch.autograd.Function):
    """Passes the first `count` tensors on, as functions of all."""

    generate_vmap_rule = True

    @staticmethod
    def forward(operator: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.operator = inputs[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        raise _not_twice(ctx.operator)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        raise _not_twice(ctx.operator)
