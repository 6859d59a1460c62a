"""``torch.ops.gsplat_core.bin_splats``: fake kernel (kernel: ``csrc/ops/bin.cpp``).

The lists have no derivative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops import library as library


@torch.library.register_fake("gsplat_core::bin_splats")
def _(
    means2d: Tensor,
    conic_roots: Tensor,
    depths: Tensor,
    opacities2d: Tensor,
    radii: Tensor,
    width: int,
    height: int,
    tile_size: int,
) -> tuple[Tensor, ...]:
    context = torch.library.get_ctx()
    visible, intersections = context.new_dynamic_size(), context.new_dynamic_size()
    tiles = means2d.shape[0] * -(-height // tile_size) * -(-width // tile_size)

    def ints(size: int | torch.SymInt) -> Tensor:
        return means2d.new_empty(size, dtype=torch.int32)

    return ints(tiles + 1), ints(intersections), ints(visible), ints(visible + 1), ints(intersections)
