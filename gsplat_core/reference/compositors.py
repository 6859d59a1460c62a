"""Compositors: with which weight each of the splats of a pixel is seen, nearest first."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MIN_TRANSMITTANCE = 1e-4  # a pixel is finished before it would let through this little


class Weights(NamedTuple):
    """[V, P], and whether a pixel was nearly finished otherwise (within a relative distance)."""

    weights: Tensor
    doubtful: Tensor


def over(alphas: Tensor, band: float) -> Weights:
    """Kerbl et al. (2023), equation 3: what a splat hides of those behind it."""
    after = torch.cumprod(1 - alphas, dim=0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weights = torch.where(after > MIN_TRANSMITTANCE, alphas * before, 0.0)
    return Weights(weights, (after / MIN_TRANSMITTANCE - 1).abs() < band)


COMPOSITORS = {"over": over}
