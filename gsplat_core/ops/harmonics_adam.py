"""Spherical harmonics whose coefficients are trained during backward: their gradients are never stored.

These are four fifths of all gradients of a scene, and each is needed once, by the optimizer. So the backward
pass hands them over a few Gaussians at a time (kernel: ``csrc/ops/harmonics_adam.cpp``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import library as library
from gsplat_core.ops.once import once
from gsplat_core.ops.reverse_mode import below_autograd
from gsplat_core.optim import Adam


def trained_spherical_harmonics(
    degree: int, means: Tensor, viewmats: Tensor, sh0: Tensor, shN: Tensor, radii: Tensor, optimizer: Adam
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


_forward = torch.ops.gsplat_core.spherical_harmonics.default


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        ctx.degree, means, viewmats, sh0, shN, radii, ctx.optimizer = inputs
        colors = below_autograd(_forward, ctx.degree, means, viewmats, sh0[None], shN[None], radii)
        ctx.save_for_backward(means, viewmats, sh0, shN, radii, colors)
        return colors

    @staticmethod
    def backward(ctx: Any, v_colors: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        means, viewmats, sh0, shN, radii, colors = ctx.saved_tensors
        needs_camera = ctx.needs_input_grad[2]
        first, rest = (ctx.optimizer.next_update(param) for param in (sh0, shN))
        if (first.step, *first.options) != (rest.step, *rest.options):
            raise ValueError("sh0 and shN must be trained by the same steps and options")
        v_means, v_viewmats = once(
            torch.ops.gsplat_core.spherical_harmonics_backward_adam_.default,
            ctx.degree,
            means,
            viewmats,
            sh0.detach()[None],
            shN.detach()[None],
            radii,
            colors,
            v_colors,
            needs_camera,
            first.exp_avg[None],
            first.exp_avg_sq[None],
            rest.exp_avg[None],
            rest.exp_avg_sq[None],
            first.step,
            first.lr,
            rest.lr,
            *first.options,
        )
        torch.autograd.graph.increment_version((sh0, shN))
        return None, v_means, v_viewmats if needs_camera else None, None, None, None, None


@torch.library.register_fake("gsplat_core::spherical_harmonics_backward_adam_")
def _(degree: int, means: Tensor, viewmats: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    needs_camera = others[5]
    return means.new_empty(means.shape), means.new_empty(viewmats.shape if needs_camera else 0)
