"""A store from a scene that comes piece by piece, such as a file that is larger than memory."""

from __future__ import annotations

import os

import numpy as np
import torch

from gsplat_core.io.pieces import Pieces
from gsplat_core.io.registry import load_pieces
from gsplat_core.store.cells import cells_of
from gsplat_core.store.reach import WIDEST, reach_of, require_reach
from gsplat_core.store.store import SceneStore

SIZES_PER_CELL = 16
"""Side of a cell in standard deviations of a Gaussian."""
ROWS_PER_CELL = 256
"""Cells are made larger until they have about as many Gaussians: smaller ones cost more to find than to
have."""
_SAMPLE = 1 << 20
_LARGEST_DOUBLING = 24


def store_of_file(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    cell: float | None = None,
    moments: bool = False,
) -> SceneStore:
    """A store with the scene of a splat file; of a .ply, no more than a piece of it is ever in memory.

    Args, Raises: as for `store_of` and `gsplat_core.io.load_pieces`.
    """
    return store_of(folder, load_pieces(path), cell, moments)


def store_of(
    folder: str | os.PathLike[str], pieces: Pieces, cell: float | None = None, moments: bool = False
) -> SceneStore:
    """A store with all rows of a scene, committed, writable, each cell in one place. Reads the
    scene two or three times, and never has more of it in memory than a piece.

    Args:
        folder: to make the store in.
        cell: side of the smallest cells, scene units. None: 16 times the median size of the Gaussians, or as
            many times that as cells have about 256 Gaussians then.
        moments: whether the optimizer's moments, which are zero now, are kept with the rows.

    Raises:
        DataError: the scene cannot be read.
        ResourceError: the disk is full.
        UsageError: there is a store already, or scenes of this primitive cannot be kept so.
    """
    require_reach(pieces.template.primitive)
    if cell is None:
        cell = cell_for(pieces)
    store = SceneStore.create(folder, pieces.template, cell, moments)
    try:
        store.fill(pieces)
    except BaseException:
        store.close()
        raise
    return store


def cell_for(pieces: Pieces) -> float:
    """The side of the smallest cells for a scene, by a sample of its rows."""
    every = max(1, pieces.most // _SAMPLE)
    means, reach = [np.zeros((0, 3), np.float32)], [np.zeros(0, np.float32)]
    for piece in pieces.open():
        some = piece.subset(torch.arange(0, piece.num, every))
        means.append(some.means.numpy())
        reach.append(reach_of(some).numpy())
    places, sizes = np.concatenate(means), np.concatenate(reach) / WIDEST
    positive = sizes[sizes > 0]
    if not len(positive):
        return 1.0
    cell = SIZES_PER_CELL * float(np.median(positive))
    for _ in range(_LARGEST_DOUBLING):
        occupied = len(np.unique(cells_of(places, sizes * np.float32(WIDEST), cell)))
        if every * len(places) >= ROWS_PER_CELL * occupied:
            break
        cell *= 2
    return cell
