"""Orders: which splat is in front of which."""

from __future__ import annotations

import torch
from torch import Tensor

DEPTH_BAND = 1e-5  # relative; float32 may swap the order of depths this close


def by_depth(depths: Tensor, visible: Tensor) -> Tensor:
    """Numbers of the visible splats, those of [N] with the least depth first, in their order where it is the
    same."""
    numbers = visible.nonzero()[:, 0]
    return numbers[torch.argsort(depths[numbers], stable=True)]


def swappable(depths: Tensor, touched: Tensor) -> Tensor:
    """Of splats [V] and the pixels [V, P] that they touch: where another one at nearly the same depth is."""
    gaps = (depths - depths[:, None]).abs()
    tied = ((gaps > 0) & (gaps < DEPTH_BAND * depths)).double()
    return touched & ((tied @ touched.double()) > 0)
