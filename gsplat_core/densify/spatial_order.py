"""An order of Gaussians that keeps neighbours in space near each other in memory.

What a view sees is then together in a few places instead of scattered over all rows: kernels skip whole
blocks of Gaussians that are out of sight, and what they read of the others shares cache lines.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.compress.morton import MAX_BITS, morton_codes

_CHUNK = 1 << 16  # rows whose coordinates are spread out in memory at a time


def spatial_order(means: Tensor) -> Tensor:
    """[N] int64: which row comes at each place, along the Morton curve through centres [N, 3].

    Rows whose centre is not finite stand where the smallest coordinates do; equals keep their order.
    """
    if not len(means):
        return torch.zeros(0, dtype=torch.int64, device=means.device)
    # Centres may lie beyond the range of float32 from each other.
    low, high = (end.double() for end in torch.where(means.isfinite(), means, 0).aminmax(dim=0))
    scale = (2**MAX_BITS - 1) / (high - low).clamp(min=1e-30)

    def codes(part: Tensor) -> Tensor:
        cells = (part.double() - low) * scale
        return morton_codes(torch.where(part.isfinite(), cells, 0).long())

    return torch.cat([codes(part) for part in means.split(_CHUNK)]).argsort(stable=True)
