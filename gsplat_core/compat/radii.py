"""The radius of older rasterizers: one number, three standard deviations of the longer axis."""

from __future__ import annotations

import torch
from torch import Tensor


def square_radii(shapes: Tensor, radii: Tensor) -> Tensor:
    """Three standard deviations along the longer axis of projected Gaussians, in pixels, rounded up.

    Args:
        shapes: [..., 3], see :class:`gsplat_core.render.stages.Splats`.
        radii: [..., 2] int32, zero where culled.

    Returns:
        [...] int32, zero where culled.
    """
    with torch.no_grad():
        l11, l21, l22 = shapes.unbind(-1)
        det = (l11 * l22).square()  # 1 / det is the determinant of the covariance
        middle = 0.5 * (l11.square() + l21.square() + l22.square()) / det
        longest = middle + (middle.square() - 1 / det).clamp(min=0.1).sqrt()
        extent = (3 * longest.sqrt()).ceil()
        return torch.where((radii > 0).all(dim=-1), extent, 0).int()
