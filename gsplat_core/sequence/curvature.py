"""How much normals change from pixel to pixel (AT-GS, Chen et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor

_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def curvature(normals: Tensor) -> Tensor:
    """[H, W] of normals [H, W, 3]: the length, over their three numbers, of a quarter of |Sobel_x| +
    |Sobel_y|. Compare only what is in the same axes: absolute values depend on them."""
    planes = torch.nn.functional.pad(normals.permute(2, 0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    across = normals.new_tensor(_SOBEL)
    kernels = torch.stack([across, across.T])[:, None]
    slopes = torch.nn.functional.conv2d(planes, kernels).abs().sum(dim=1)
    return torch.linalg.vector_norm(slopes / 4, dim=0)


def eroded(mask: Tensor, size: int) -> Tensor:
    """[H, W] bool: where all of the size x size pixels around are in the mask [H, W]; beyond the border they
    are as the nearest one inside."""
    half = size // 2
    outside = torch.nn.functional.pad((~mask)[None, None].float(), (half,) * 4, mode="replicate")
    return torch.nn.functional.max_pool2d(outside, size, 1)[0, 0] == 0
