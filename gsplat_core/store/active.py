"""The cells of a store that are in memory: a scene that can be rendered, grow and be trained.

What the memory has of a cell is what counts, until it is written back: when the cell leaves, or with
`commit`. Which cells are in memory follows a camera (`look`), or whoever knows better (`hold`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gsplat_core.render.drawing import Rendered
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.store.cells import Keys, cells_of
from gsplat_core.store.index import found, records_of
from gsplat_core.store.layout import Rows
from gsplat_core.store.reach import reach_of
from gsplat_core.store.sight import Boxes, may_see
from gsplat_core.store.store import NO_CELLS, SceneStore


class ActiveSet:
    """
    Args:
        store: opened for writing, where anything is changed. It stays the caller's to close.
    """

    def __init__(self, store: SceneStore) -> None:
        self.store = store
        self.rows = store.layout.empty(0)
        """What is in memory; its tensors may be changed in place, and are told of by `changed`."""
        self._cell = NO_CELLS  # of each row
        self._held = NO_CELLS  # ascending; also cells without rows
        self._dirty = NO_CELLS  # of those held, ascending: those that the disk has otherwise

    @property
    def scene(self) -> Gaussians:
        """The Gaussians in memory, in the order of their cells as far as nothing was inserted."""
        return self.rows.scene

    @property
    def num(self) -> int:
        """How many Gaussians are in memory."""
        return self.rows.num

    @property
    def total(self) -> int:
        """How many Gaussians there are, in memory or not."""
        away = self.store.cells
        return self.num + int(self.store.rows_of(away[~found(away, self._held)]).sum())

    def rows_of(self, cells: Keys) -> npt.NDArray[np.int64]:
        """[M] how many Gaussians each of these cells has, in memory or not; they ascend."""
        counts = self.store.rows_of(cells)
        counts[found(cells, self._held)] = 0
        mine = self._cell[found(self._cell, cells)]
        np.add.at(counts, np.searchsorted(cells, mine), 1)
        return counts

    def look(self, camera: Camera) -> Gaussians:
        """Holds what a camera's image may show, and no more; the scene in memory then."""
        self.hold(self.seen_by(camera))
        return self.scene

    def render(self, camera: Camera, background: Tensor | None = None) -> Rendered:
        """The image of the whole scene, of which only what it shows is in memory. Equal to that of the whole
        in memory, to the bit where no two Gaussians in a pixel have the same depth.

        Args:
            background: [D] or [1, D]; None for black.
        """
        return render(self.look(camera), camera, background=background)

    def seen_by(self, camera: Camera) -> Keys:
        """The cells of which a camera's image may show something, ascending, with what has changed."""
        away = self.store.seen_by(camera)
        if not len(self._dirty):
            return away
        scene = self.scene.detached()
        order = np.argsort(self._cell, kind="stable")
        means, reach = scene.means.numpy()[order], reach_of(scene).numpy()[order]
        records = records_of(self._cell[order], means, reach)
        low, high, reach = (records[name].astype(np.float64) for name in ("low", "high", "reach"))
        here = records["key"][may_see(camera, Boxes(low, high, reach), scene.metadata)]
        return np.unique(np.concatenate([away[~found(away, self._dirty)], here]))

    def hold(self, cells: Keys) -> None:
        """Has these cells in memory and no others; what has changed of those that leave is written back.

        Args:
            cells: ascending.

        Raises:
            DataError: rows cannot be read.
            ResourceError: the disk is full; then nothing leaves.
        """
        leaving = self._held[~found(self._held, cells)]
        if len(leaving):
            self._settle()
            self._write(leaving[found(leaving, self._dirty)])
            self._dirty = self._dirty[~found(self._dirty, leaving)]
            self._held = self._held[found(self._held, cells)]
            self._keep(torch.from_numpy(~found(self._cell, leaving)))
        coming = cells[~found(cells, self._held)]
        if len(coming):
            rows, homes = self.store.read(coming)
            self._append(rows, homes)
            self._held = np.union1d(self._held, coming)

    def changed(self, rows: Tensor | None = None) -> None:
        """Tells that rows in memory have other numbers than before.

        Args:
            rows: bool [N], which; None: all.
        """
        cells = self._cell if rows is None else self._cell[rows.cpu().numpy()]
        self._dirty = np.union1d(self._dirty, cells)

    def insert(self, rows: Rows) -> None:
        """Adds rows: to memory where their cells are held or new, to the disk where they are not in memory.

        Raises:
            ResourceError: the disk is full.
        """
        homes = self._homes(rows.scene)
        away = found(homes, self.store.cells) & ~found(homes, self._held)
        if away.any():
            self.store.add(rows.subset(torch.from_numpy(away)))
        here = rows.subset(torch.from_numpy(~away))
        self._append(here, homes[~away])
        self._held = np.union1d(self._held, homes[~away])
        self._dirty = np.union1d(self._dirty, homes[~away])

    def remove(self, rows: Tensor) -> None:
        """Removes rows that are in memory.

        Args:
            rows: bool [N].
        """
        self.changed(rows)
        self._keep(~rows.cpu())

    def commit(self, facts: Mapping[str, Any] | None = None) -> None:
        """Writes back what has changed, and makes it what is there after a crash.

        Args:
            facts: see `SceneStore.commit`.

        Raises:
            ResourceError: the disk is full; then the last state that was committed stays.
        """
        self._settle()
        self._write(self._dirty)
        self._dirty = NO_CELLS
        self.store.commit(facts)

    def _homes(self, scene: Gaussians) -> Keys:
        """[N] the cells where rows belong now."""
        scene = scene.detached()
        return cells_of(scene.means.numpy(), reach_of(scene).numpy(), self.store.cell)

    def _settle(self) -> None:
        """Rows that have moved go to the cells where they belong now: others in memory, or those on disk."""
        moved = found(self._cell, self._dirty)
        if not moved.any():
            return
        homes = self._cell.copy()
        homes[moved] = self._homes(self.scene.subset(torch.from_numpy(moved)))
        away = found(homes, self.store.cells) & ~found(homes, self._held)
        if away.any():
            self.store.add(self.rows.subset(torch.from_numpy(away)))
        entered = homes[~away & (homes != self._cell)]
        self._held = np.union1d(self._held, entered)
        self._dirty = np.union1d(self._dirty, entered)
        self._cell = homes
        if away.any():
            self._keep(torch.from_numpy(~away))

    def _write(self, cells: Keys) -> None:
        """Puts the rows of cells in memory, which have settled, in the place of those on disk."""
        if len(cells):
            rows = np.flatnonzero(found(self._cell, cells))
            self.store.replace(cells, self.rows.subset(torch.from_numpy(rows)))

    def _append(self, rows: Rows, cells: Keys) -> None:
        if rows.num:
            self.rows = self.store.layout.joined([self.rows, rows])
            self._cell = np.concatenate([self._cell, cells])

    def _keep(self, rows: Tensor) -> None:
        if not bool(rows.all()):
            self.rows = self.rows.subset(rows)
            self._cell = self._cell[rows.numpy()]
