"""Images of another size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate


def resized(image: Tensor, size: Sequence[int]) -> Tensor:
    """An image [H, W, D] of another height and width, by antialiased bilinear interpolation; the image itself
    where it has them. Differentiable."""
    if tuple(image.shape[:2]) == tuple(size):
        return image
    planes = image.movedim(-1, 0)[None]
    small = interpolate(planes, tuple(size), mode="bilinear", antialias=True)
    return small[0].movedim(0, -1).contiguous()
