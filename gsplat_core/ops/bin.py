"""``torch.ops.gsplat_core.bin_splats`` and ``bin_splats_bounded``: fake kernels
(kernels: ``csrc/ops/bin.cpp``, ``csrc/ops/cuda/bin.cpp``).

The lists have no derivative.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gsplat_core.ops.arguments import SETTINGS, fake_kernel


@fake_kernel("bin_splats")
def _(means2d: Tensor, width: int, height: int, settings: Sequence[float]) -> tuple[Tensor, ...]:
    context = torch.library.get_ctx()
    visible, intersections = context.new_dynamic_size(), context.new_dynamic_size()
    return _lists(means2d, width, height, settings, visible, intersections)


@fake_kernel("bin_splats_bounded")
def _(
    means2d: Tensor, width: int, height: int, settings: Sequence[float], max_intersections: int
) -> tuple[Tensor, ...]:
    splats = means2d.shape[0] * means2d.shape[1]
    lists = _lists(means2d, width, height, settings, splats, max_intersections)
    return *lists, means2d.new_empty(2, dtype=torch.int64)


def _lists(
    like: Tensor,
    width: int,
    height: int,
    settings: Sequence[float],
    visible: int | torch.SymInt,
    intersections: int | torch.SymInt,
) -> tuple[Tensor, ...]:
    tile_size = int(settings[SETTINGS.index("tile_size")])
    tiles = like.shape[0] * -(-height // tile_size) * -(-width // tile_size)

    def ints(size: int | torch.SymInt) -> Tensor:
        return like.new_empty(size, dtype=torch.int32)

    # Only gradients that are gathered, which they are on the CPU, need the slots.
    slots = 0 if like.device.type == "cuda" else intersections
    return ints(tiles + 1), ints(intersections), ints(visible), ints(visible + 1), ints(slots)
