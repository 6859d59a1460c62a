"""Spherical harmonics whose coefficients are trained during backward: their gradients are never stored.

These are four fifths of all gradients of a scene, and each is needed once, by the optimizer. So the backward
pass hands them over a few Gaussians at a time (kernel: ``csrc/ops/harmonics_adam.cpp``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops.adam import StepsOneByOne
from gsplat_core.ops.arguments import fake_kernel, overload
from gsplat_core.ops.derivative import Derivative
from gsplat_core.ops.reverse_mode import below_autograd


def trained_spherical_harmonics(
    degree: int,
    means: Tensor,
    viewmats: Tensor,
    sh0: Tensor,
    shN: Tensor,
    radii: Tensor,
    optimizer: StepsOneByOne,
) -> Tensor:
    """The colours of ``torch.ops.gsplat_core.spherical_harmonics``; backward trains the coefficients.

    A backward pass makes one step of the optimizer for the two parameters, equal to the bit to one with
    stored gradients. Their ``.grad`` stays as it is, so that a later ``optimizer.step()`` does not count
    them twice.

    Args:
        degree: to evaluate.
        means, viewmats, radii: [1, N, 3], [1, C, 4, 4] and [1, C, N, 2] on the CPU.
        sh0, shN: leaf tensors [N, 1, 3] and [N, K - 1, 3].
        optimizer: trains both, with the same options but for the learning rate.

    Raises:
        ValueError: in backward, if it does not.
    """
    colors: Tensor = _Function.apply(degree, means, viewmats, sh0, shN, radii, optimizer)
    return colors


_forward = overload("spherical_harmonics")
_reverse = Derivative("spherical_harmonics_backward_adam_", of="spherical_harmonics")


class _Function(torch.autograd.Function):
    # Its inputs are those of the operator and the optimizer.

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        ctx.degree, means, viewmats, sh0, shN, radii, ctx.optimizer = inputs
        colors = below_autograd(_forward, ctx.degree, means, viewmats, sh0[None], shN[None], radii)
        ctx.save_for_backward(means, viewmats, sh0, shN, radii, colors)
        return colors

    @staticmethod
    def backward(ctx: Any, v_colors: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        means, viewmats, sh0, shN, radii, colors = ctx.saved_tensors
        needs_camera = _reverse.needs(ctx, "viewmats")
        evaluated = (ctx.degree + 1) ** 2
        first, rest = ctx.optimizer.next_update(sh0), ctx.optimizer.next_update(shN, evaluated - 1)
        if (first.step, *first.options) != (rest.step, *rest.options):
            raise ValueError("sh0 and shN must be trained by the same steps and options")
        beta1, beta2, eps, bias_correction = first.options
        results = _reverse(
            (ctx.degree, means, viewmats, sh0.detach()[None], shN.detach()[None], radii),
            colors=colors,
            v_colors=v_colors,
            needs_camera=needs_camera,
            sh0_exp_avg=first.exp_avg[None],
            sh0_exp_avg_sq=first.exp_avg_sq[None],
            shN_exp_avg=rest.exp_avg[None],
            shN_exp_avg_sq=rest.exp_avg_sq[None],
            step=first.step,
            sh0_lr=first.lr,
            shN_lr=rest.lr,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            bias_correction=bias_correction,
            higher_at_rest=rest.others_at_rest,
        )
        torch.autograd.graph.increment_version((sh0, shN))
        of_optimizer = None
        return *_reverse.gradients(ctx, results), of_optimizer


@fake_kernel("spherical_harmonics_backward_adam_")
def _(means: Tensor, viewmats: Tensor, needs_camera: bool) -> tuple[Tensor, Tensor]:
    return means.new_empty(means.shape), means.new_empty(viewmats.shape if needs_camera else 0)
