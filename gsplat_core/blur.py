"""Images out of focus: convolution with a Gaussian."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

_REACH = 3.0  # standard deviations at which the kernel ends


def gaussian_blur(image: Tensor, sigma: float) -> Tensor:
    """Images [..., H, W, D] blurred by a Gaussian of `sigma` pixels; beyond their borders, the border's
    pixels go on. Differentiable."""
    if sigma <= 0:
        return image
    radius = max(1, math.ceil(_REACH * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = (kernel / kernel.sum())[None, None]
    planes = image.movedim(-1, -3)
    shape = planes.shape
    planes = planes.reshape(-1, 1, *shape[-2:])
    planes = conv2d(pad(planes, (radius, radius, 0, 0), mode="replicate"), kernel[:, :, None])
    planes = conv2d(pad(planes, (0, 0, radius, radius), mode="replicate"), kernel[..., None])
    return planes.reshape(shape).movedim(-3, -1)
