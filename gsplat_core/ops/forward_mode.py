"""Both modes of differentiation for an operator: reverse as in `reverse_mode`, forward by its tangents.

``torch.library.register_autograd`` knows no forward mode: an operator drops the tangents of its arguments
without a word. An ``autograd.Function`` has both modes but breaks the graphs of ``torch.compile``. So the
operator is called as such unless one of its arguments carries a tangent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gsplat_core.ops import reverse_mode
from gsplat_core.ops.once import has_tangents

Context = Any


def differentiable(
    name: str,
    setup_context: Callable[[Context, tuple[Any, ...], Any], None],
    backward: Callable[..., tuple[Any, ...]],
    jvp: Callable[..., Any],
) -> Callable[..., Any]:
    """Registers the derivatives of ``torch.ops.gsplat_core.NAME`` and returns the function to call for it.

    Args:
        setup_context, backward: as for ``torch.library.register_autograd``.
        jvp: ``jvp(inputs, outputs, tangents)`` returns the tangents of the outputs (None for integers) from
            those of the inputs. `tangents` has zeros where an input that can be differentiated has none.

    Returns:
        The operator as a function that forward-mode AD and ``torch.func`` go through too.
    """
    operator = getattr(torch.ops.gsplat_core, name)
    without_tangents = reverse_mode.differentiable(name, setup_context, backward)

    class Function(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(*inputs: Any) -> Any:
            return operator(*inputs)

        @staticmethod
        def setup_context(ctx: Context, inputs: tuple[Any, ...], output: Any) -> None:
            outputs = output if isinstance(output, tuple) else (output,)
            ctx.mark_non_differentiable(*(o for o in outputs if not o.is_floating_point()))
            setup_context(ctx, inputs, output)
            ctx.is_tensor = [isinstance(value, Tensor) for value in inputs]
            ctx.others = [None if isinstance(value, Tensor) else value for value in inputs]
            ctx.save_for_forward(*(value for value in inputs if isinstance(value, Tensor)), *outputs)

        @staticmethod
        def backward(ctx: Context, *gradients: Any) -> Any:
            return backward(ctx, *gradients)

        @staticmethod
        def jvp(ctx: Context, *tangents: Any) -> Any:
            saved = list(ctx.saved_tensors)
            inputs = [
                saved.pop(0) if tensor else other
                for tensor, other in zip(ctx.is_tensor, ctx.others, strict=True)
            ]
            complete = [
                torch.zeros_like(value)
                if tangent is None and isinstance(value, Tensor) and value.is_floating_point()
                else tangent
                for value, tangent in zip(inputs, tangents, strict=True)
            ]
            # PyTorch turns forward mode off here, and with it that of the transforms of torch.func outside.
            with forward_ad._set_fwd_grad_enabled(True):
                return jvp(_primals(inputs), _primals(saved), tuple(complete))

    Function.__name__ = Function.__qualname__ = name

    def call(*inputs: Any) -> Any:
        # Under torch.func another transform than the innermost may want derivatives.
        transformed = torch._C._are_functorch_transforms_active() and not torch.compiler.is_compiling()
        return (Function.apply if transformed or has_tangents(inputs) else without_tangents)(*inputs)

    return call


def _primals(values: list[Any]) -> tuple[Any, ...]:
    """Values without the tangents of the innermost level."""
    return tuple(forward_ad.unpack_dual(v).primal if isinstance(v, Tensor) else v for v in values)


def map_over_directions(name: str) -> None:
    """Lets ``torch.func.vmap``, and so ``jacfwd`` and ``jacrev``, call the operator `name` with many tangents
    or gradients, in turn."""
    operator = getattr(torch.ops.gsplat_core, name)

    def rule(info: Any, dims: tuple[Any, ...], *values: Any) -> tuple[Any, Any]:
        results = [
            operator(
                *(v.select(d, i) if isinstance(d, int) else v for v, d in zip(values, dims, strict=True))
            )
            for i in range(info.batch_size)
        ]
        if isinstance(results[0], Tensor):
            return torch.stack(results), 0
        return tuple(torch.stack(parts) for parts in zip(*results, strict=True)), (0,) * len(results[0])

    torch.library.register_vmap(f"gsplat_core::{name}", rule)
