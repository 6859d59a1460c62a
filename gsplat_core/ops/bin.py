"""``torch.ops.gsplat_core.bin_splats`` and ``bin_splats_bounded``: fake kernels
(kernels: ``csrc/ops/bin.cpp``, ``csrc/ops/cuda/bin.cpp``).

The lists have no derivative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops import library as library


@torch.library.register_fake("gsplat_core::bin_splats")
def _(
    means2d: Tensor,
    shapes: Tensor,
    depths: Tensor,
    opacities2d: Tensor,
    radii: Tensor,
    width: int,
    height: int,
    tile_size: int,
) -> tuple[Tensor, ...]:
    context = torch.library.get_ctx()
    visible, intersections = context.new_dynamic_size(), context.new_dynamic_size()
    return _lists(means2d, width, height, tile_size, visible, intersections)


@torch.library.register_fake("gsplat_core::bin_splats_bounded")
def _(
    means2d: Tensor,
    shapes: Tensor,
    depths: Tensor,
    opacities2d: Tensor,
    radii: Tensor,
    width: int,
    height: int,
    tile_size: int,
    max_intersections: int,
) -> tuple[Tensor, ...]:
    splats = means2d.shape[0] * means2d.shape[1]
    lists = _lists(means2d, width, height, tile_size, splats, max_intersections)
    return *lists, means2d.new_empty(2, dtype=torch.int64)


def _lists(
    like: Tensor,
    width: int,
    height: int,
    tile_size: int,
    visible: int | torch.SymInt,
    intersections: int | torch.SymInt,
) -> tuple[Tensor, ...]:
    tiles = like.shape[0] * -(-height // tile_size) * -(-width // tile_size)

    def ints(size: int | torch.SymInt) -> Tensor:
        return like.new_empty(size, dtype=torch.int32)

    # Only gradients that are gathered, which they are on the CPU, need the slots.
    slots = 0 if like.device.type == "cuda" else intersections
    return ints(tiles + 1), ints(intersections), ints(visible), ints(visible + 1), ints(slots)
