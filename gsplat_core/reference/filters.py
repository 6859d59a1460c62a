"""Filters of projected covariances: what a pixel's own size does to a splat."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MIN_COMPENSATION = 0.005  # floor of the anti-aliasing factor
FLAT_FILTER = 1e-4  # square pixels, where splats are integrated over pixels instead of being widened


class Filtered(NamedTuple):
    """2D covariances [..., 2, 2] after dilation, their determinants [...], and the factor [...] of the
    opacities that compensates it, with whether float32 may have found another one."""

    covars2d: Tensor
    determinants: Tensor
    compensation: Tensor
    doubtful: Tensor


def dilate(covars2d: Tensor, eps2d: float, compensate: bool, regular: Tensor) -> Filtered:
    """Adds `eps2d` square pixels to both variances. The compensation conserves what a splat covers: Yu et
    al., "Mip-Splatting" (2024), equation 9. Determinants are 0 where `regular` [...] does not hold."""
    dilated = covars2d + eps2d * torch.eye(2, dtype=covars2d.dtype)
    regular = regular & (_determinant(dilated) > 0)
    after = torch.where(regular, _determinant(dilated), 0.0)
    if not compensate:
        return Filtered(dilated, after, torch.ones_like(after), torch.zeros_like(regular))
    squared = _determinant(covars2d) / torch.where(regular, after, 1.0)
    doubtful = (squared / MIN_COMPENSATION**2 - 1).abs() < 0.05  # differences of products: a wider band
    return Filtered(dilated, after, squared.clamp(min=MIN_COMPENSATION**2).sqrt(), doubtful)


def _determinant(covars2d: Tensor) -> Tensor:
    return covars2d[..., 0, 0] * covars2d[..., 1, 1] - covars2d[..., 0, 1].square()
