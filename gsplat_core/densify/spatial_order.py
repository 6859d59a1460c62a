"""An order of Gaussians that keeps neighbours in space near each other in memory.

What a view sees is then together in a few places instead of scattered over all rows: kernels skip whole
blocks of Gaussians that are out of sight, and what they read of the others shares cache lines.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.compress.morton import MAX_BITS, morton_codes


def spatial_order(means: Tensor) -> Tensor:
    """[N] int64: which row comes at each place, along the Morton curve through centres [N, 3].

    Rows whose centre is not finite stand where the smallest coordinates do; equals keep their order.
    """
    if not len(means):
        return torch.zeros(0, dtype=torch.int64, device=means.device)
    finite = means.isfinite()
    # Centres may lie beyond the range of float32 from each other.
    points = torch.where(finite, means, 0).double()
    low = points.amin(dim=0, keepdim=True)
    extent = (points.amax(dim=0, keepdim=True) - low).clamp(min=1e-30)
    cells = ((points - low) / extent * (2**MAX_BITS - 1)).long()
    return morton_codes(torch.where(finite, cells, 0)).argsort(stable=True)
