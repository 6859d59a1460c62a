"""Which photographs are trained on together: those that see much the same, as many as memory has room for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from gsplat_core.errors import UsageError
from gsplat_core.scene.cameras import Camera
from gsplat_core.store.cells import Keys
from gsplat_core.store.store import SceneStore

STEPS = 100
"""Of a visit, at least, if the run is long enough: reading and writing its Gaussians costs some steps."""
ROUNDS = 4
"""So many times a run visits every photograph, at least; so the blocks fit together in the end."""


@dataclass(frozen=True)
class Visit:
    """
    Args:
        views: the numbers of photographs.
        cells: all that they may see, ascending.
    """

    views: list[int]
    cells: Keys


def next_visit(
    store: SceneStore, cameras: Sequence[Camera], waiting: Sequence[int], most: int, remedy: str
) -> Visit:
    """The first photograph that waits, and those of the others that add the fewest Gaussians to what is in
    memory then, as long as these are no more than `most`.

    Args:
        cameras: of all photographs.
        waiting: the numbers of those that are yet to be trained on; at least one.
        remedy: what to do where one photograph alone sees more.

    Raises:
        UsageError: that is so.
    """
    cells = store.cells
    rows = store.rows_of(cells)
    seen = [np.searchsorted(cells, store.seen_by(cameras[number])) for number in waiting]
    viewers = _viewers(seen, len(cells))
    missing = np.array([rows[mine].sum() for mine in seen], np.int64)
    if missing[0] > most:
        raise UsageError(
            f"--active-set: the photograph {cameras[waiting[0]].name} alone sees {missing[0]:,} of "
            f"{store.num:,} Gaussians, and there is room for {most:,}. {remedy}"
        )
    held, chosen, num = np.zeros(len(cells), bool), np.zeros(len(waiting), bool), 0
    best = 0
    while num + missing[best] <= most:
        chosen[best] = True
        num += int(missing[best])
        new = seen[best][~held[seen[best]]]
        held[new] = True
        for cell in new:
            missing[viewers[cell]] -= rows[cell]
        if chosen.all():
            break
        best = int(np.where(chosen, np.iinfo(np.int64).max, missing).argmin())
    return Visit([waiting[place] for place in np.flatnonzero(chosen).tolist()], cells[held])


def _viewers(seen: Sequence[npt.NDArray[np.int64]], cells: int) -> list[npt.NDArray[np.int64]]:
    """By cell, the places of those who see it."""
    cell = np.concatenate(seen)
    who = np.repeat(np.arange(len(seen)), [len(mine) for mine in seen])
    order = np.argsort(cell, kind="stable")
    return np.split(who[order], np.searchsorted(cell[order], np.arange(1, cells)))


def round_of(number: int, views: int, seed: int) -> list[int]:
    """All photographs in the order in which the visits of a round begin with them, another in each round."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    order: list[int] = torch.randperm(views, generator=generator).tolist()
    return order


def turns(steps: int, views: int, visited: int) -> int:
    """How often a visit goes over its photographs.

    Args:
        steps: of the whole run.
        views: all photographs.
        visited: those of the visit.
    """
    return max(1, min(math.ceil(STEPS / visited), steps // (ROUNDS * views)))
