"""What is measured of splats while they are blended: gradients of things that do not change the image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def add_absolute_gradient(at_pixels: Tensor, total: Tensor, order: Tensor) -> None:
    """On backward, adds the sum over pixels of |gradient| of [V, P, 2] to the rows `order` of `total`."""
    if not at_pixels.requires_grad:
        return

    def hook(gradient: Tensor) -> None:
        total.index_add_(0, order, gradient.abs().sum(1))

    at_pixels.register_hook(hook)


class Probe(torch.autograd.Function):
    """Carrier [V, 3] of zeros and weights [V, P] to a probe [P] of zeros, whose gradient is e: the carrier's
    "gradient" is (sum_p w e, sum_p w, number of p with w > 0)."""

    @staticmethod
    def forward(ctx: Any, carrier: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        return carrier.new_zeros(weights.shape[1])

    @staticmethod
    def backward(ctx: Any, e: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (weights,) = ctx.saved_tensors
        return torch.stack([weights @ e, weights.sum(1), (weights > 0).double().sum(1)], dim=1), None
