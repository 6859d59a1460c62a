"""How many bits numbers cost that are rounded to steps and thought to come from Gaussians."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gaussian_bits(away: Tensor, deviation: Tensor, step: Tensor) -> Tensor:
    """-log2 of the mass of a Gaussian around zero within half a step of a number; differentiable, and finite
    for any distance.

    Args:
        away: distances from the Gaussian's mean.
        deviation: its deviation, positive.
        step: positive. All shapes are broadcast.
    """
    size = away.abs()
    near, far = (step / 2 - size) / deviation, (-step / 2 - size) / deviation
    upper = torch.special.log_ndtr(near)
    # The mass is ndtr(near) - ndtr(far); of the two, far is the smaller one.
    lower = torch.special.log_ndtr(far)
    return -(upper + torch.log(-torch.expm1((lower - upper).clamp(max=-1e-7)))) / math.log(2)
