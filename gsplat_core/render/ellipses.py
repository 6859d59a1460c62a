"""Ellipses in the image as the lists of tiles know them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Ellipses(NamedTuple):
    """What :func:`gsplat_core.render.stages.bin_splats` asks of splats, zero where they are not visible."""

    visible: Tensor  # [...]
    shapes: Tensor  # [..., 3], of the level that was given
    radii: Tensor  # [..., 2] int32


def ellipses_in_image(
    visible: Tensor,
    middle: Tensor,
    matrix: Tensor,
    level: Tensor,
    width: int,
    height: int,
) -> Ellipses:
    """The ellipses of x with (x - middle)^T matrix^-1 (x - middle) <= 1 that reach into the image.

    Args:
        visible: [...] which of them are to be looked at.
        middle: [..., 2] pixels; matrix: [..., 2, 2] square pixels, in float64.
        level: [...] of the shapes: that of a shape times the level is the ellipse.
    """
    half = matrix.diagonal(dim1=-2, dim2=-1).clamp(min=0.0).sqrt()
    size = middle.new_tensor([width, height])
    visible = visible & ((middle + half > 0) & (middle - half < size)).all(-1)
    visible &= matrix.isfinite().all(-1).all(-1)
    one = matrix / torch.where(visible, level, 1.0)[..., None, None]
    xx, xy, yy = one[..., 0, 0], one[..., 0, 1], one[..., 1, 1]
    det = xx * yy - xy * xy
    visible &= (det > 0) & (yy > 0)
    det, yy = torch.where(visible, det, 1.0), torch.where(visible, yy, 1.0)
    shapes = torch.stack([(yy / det).sqrt(), -xy / (yy * det).sqrt(), yy.rsqrt()], dim=-1)
    return Ellipses(
        visible,
        torch.where(visible[..., None], shapes, 0.0),
        torch.where(visible[..., None], half.clamp(max=2.0**30).ceil(), 0.0).int(),
    )
