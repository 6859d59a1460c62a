"""Spatial order of splats along the Z-order curve (Morton 1966).

Neighbours in the file are then neighbours in space and alike, which is what chunk bounds, image codecs and
general compressors live from.
"""

from __future__ import annotations

import numpy as np

_BITS = 21  # per axis, 63 in all


def morton_order(means: np.ndarray) -> np.ndarray:
    """Row numbers [N] int64 that sort positions [N, 3] along the curve; equals keep their order."""
    if not len(means):
        return np.zeros(0, np.int64)
    low = means.min(axis=0).astype(np.float64)
    extent = means.max(axis=0) - low
    extent[extent == 0] = 1
    code = np.zeros(len(means), np.uint64)
    for axis in range(3):
        cells = (means[:, axis] - low[axis]) * (((1 << _BITS) - 1) / extent[axis])
        code |= _spread(cells.astype(np.uint64)) << np.uint64(axis)
    return np.argsort(code, kind="stable")


def _spread(x: np.ndarray) -> np.ndarray:
    """Puts two zero bits between the 21 bits of each number."""
    for shift, mask in (
        (32, 0x1F00000000FFFF),
        (16, 0x1F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        x = (x | (x << np.uint64(shift))) & np.uint64(mask)
    return x
