"""The hash of space: cubes, by a number for each, int64.

A Gaussian belongs to the cube that its centre is in, of the smallest cubes that are not smaller than what is
seen of it: so few large ones do not make a cell of small ones visible from everywhere (a loose octree without
a tree; Teschner et al. 2003 has the hash, Ulrich 2000 the looseness).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.int64]

LEVELS = 16
"""Sizes of cubes, each twice the one before; the largest takes what is larger, too."""
_BITS = 19
_HALF = 1 << (_BITS - 1)
_MASK = (1 << _BITS) - 1


def cells_of(means: npt.NDArray[np.float32], reach: npt.NDArray[np.float32], cell: float) -> Keys:
    """[N] the cells of Gaussians.

    Args:
        means: [N, 3] centres.
        reach: [N] how far from them something can be seen.
        cell: side of the smallest cubes, scene units. Where the numbers of cubes end, 2^18 of them from the
            origin, the outermost ones go on.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.nan_to_num(np.ceil(np.log2(reach.astype(np.float64) / cell)), nan=0.0)
    level = level.clip(0, LEVELS - 1)
    place = np.floor(means.astype(np.float64) / (cell * 2**level)[:, None])
    x, y, z = (place.clip(-_HALF, _HALF - 1).astype(np.int64) + _HALF).T
    return (level.astype(np.int64) << 3 * _BITS) | (x << 2 * _BITS) | (y << _BITS) | z


def boxes_of(keys: Keys, cell: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """[M, 3] the lowest corners of cells, and [M] their sides."""
    side = (cell * 2.0 ** (keys >> 3 * _BITS)).astype(np.float64)
    place = np.stack([(keys >> shift) & _MASK for shift in (2 * _BITS, _BITS, 0)], axis=1) - _HALF
    return place * side[:, None], side
