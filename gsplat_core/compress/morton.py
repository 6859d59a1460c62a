"""Morton order: a walk through space that keeps near points together (Morton 1966)."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_BITS = 20


def morton_codes(cells: Tensor) -> Tensor:
    """The bits of three coordinates interleaved, x lowest.

    Args:
        cells: [N, 3] integers in [0, 2^20).

    Returns:
        [N] int64, below 2^60.
    """
    x, y, z = _spread(cells.long()).unbind(dim=1)
    return x | (y << 1) | (z << 2)


def morton_cells(codes: Tensor) -> Tensor:
    """The inverse of `morton_codes`: [N, 3] int64."""
    return _gather(torch.stack([codes, codes >> 1, codes >> 2], dim=1))


_STEPS = (
    (32, 0x001F00000000FFFF),
    (16, 0x001F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


def _spread(values: Tensor) -> Tensor:
    """Two zeros between any two bits."""
    values = values & ((1 << 21) - 1)
    for shift, mask in _STEPS:
        values = (values | (values << shift)) & mask
    return values


def _gather(values: Tensor) -> Tensor:
    """Every third bit."""
    values = values & _STEPS[-1][1]
    for (shift, _), (_, mask) in zip(
        reversed(_STEPS), [*reversed(_STEPS[:-1]), (0, (1 << 21) - 1)], strict=True
    ):
        values = (values | (values >> shift)) & mask
    return values
