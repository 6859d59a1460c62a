"""Morton order: a walk through space that keeps near points together (Morton 1966).

In memory, what a view sees is then in a few places instead of scattered over all rows: kernels skip whole
blocks of Gaussians that are out of sight, and what they read of the others shares cache lines. In files,
neighbours are alike, which is what chunk bounds, image codecs and general compressors live from.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BITS = 21  # per axis, 63 in all
_CHUNK = 1 << 16  # rows whose coordinates are spread out in memory at a time


@torch.no_grad()
def morton_order(means: Tensor) -> Tensor:
    """[N] int64: which row comes at each place, along the Morton curve through centres [N, 3].

    Rows whose centre is not finite stand where the smallest coordinates do; equals keep their order.
    """
    if not len(means):
        return torch.zeros(0, dtype=torch.int64, device=means.device)
    # Centres may lie beyond the range of float32 from each other.
    low, high = (end.double() for end in torch.where(means.isfinite(), means, 0).aminmax(dim=0))
    scale = (2**_BITS - 1) / (high - low).clamp(min=1e-30)

    def codes(part: Tensor) -> Tensor:
        cells = (part.double() - low) * scale
        return morton_codes(torch.where(part.isfinite(), cells, 0).long())

    return torch.cat([codes(part) for part in means.split(_CHUNK)]).argsort(stable=True)


def morton_codes(cells: Tensor) -> Tensor:
    """The bits of three coordinates interleaved, x lowest.

    Args:
        cells: [N, 3] integers in [0, 2^21).

    Returns:
        [N] int64, below 2^63.
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
    values = values & ((1 << _BITS) - 1)
    for shift, mask in _STEPS:
        values = (values | (values << shift)) & mask
    return values


def _gather(values: Tensor) -> Tensor:
    """Every third bit."""
    values = values & _STEPS[-1][1]
    for (shift, _), (_, mask) in zip(
        reversed(_STEPS), [*reversed(_STEPS[:-1]), (0, (1 << _BITS) - 1)], strict=True
    ):
        values = (values | (values >> shift)) & mask
    return values
