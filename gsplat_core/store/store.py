"""The folder of a scene on disk: an append-only log of rows, and the index of what of it is the scene.

Whatever changes is appended; `commit` puts the log on the disk and then replaces the index in one step. A
process that is killed leaves the state of the last commit: what is behind it in the log is cut off when the
store is opened for writing again. Where more of the log is outdated than is in use, `commit` writes what is
in use to a new log.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gsplat_core.errors import DataError, ResourceError, UsageError
from gsplat_core.io.arrays import blocks
from gsplat_core.io.links import make_folder
from gsplat_core.io.pieces import PIECE, Pieces
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.store.cells import Keys, cells_of
from gsplat_core.store.index import Index, by_cell, found, joined, records_of
from gsplat_core.store.layout import Layout, Rows
from gsplat_core.store.log import Log
from gsplat_core.store.reach import reach_of, require_reach
from gsplat_core.store.sight import Boxes, may_see

INDEX = "index"
NO_CELLS: Keys = np.zeros(0, np.int64)
_LEAST_OUTDATED = 64 << 20
"""Less of it is left in a log."""


def is_store(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is one."""
    return Path(path, INDEX).is_file()


class SceneStore:
    """Gaussians on disk by cells of space. Of several processes only one may write at a time.

    Not for several threads. Rows that go in and come out are on the CPU.

    Args:
        folder: with an index.
        writable: whether it may be changed; then this process has it to itself until `close`.

    Raises:
        DataError: this is no store, or it is damaged.
        UsageError: another process writes to it.
        ResourceError: it cannot be written to.
    """

    def __init__(self, folder: str | os.PathLike[str], writable: bool = False) -> None:
        self.folder = Path(folder)
        if not is_store(folder):
            raise DataError(
                folder, "this is not the folder of a store: it has no index",
                remedy="gsplat_core.store.filling.store_of_file makes one of a splat file.",
            )  # fmt: skip
        self._lock = _locked(self.folder) if writable else None
        try:
            self._index = Index.read(self.folder / INDEX)
            self._log = Log(self.folder / self._index.log, self._index.size, writable)
        except BaseException:
            self._unlock()
            raise
        if writable:  # what a compaction left that did not come to its end
            for other in self.folder.glob(_log_name("*")):
                if other.name != self._index.log:
                    other.unlink(missing_ok=True)

    @classmethod
    def create(
        cls, folder: str | os.PathLike[str], template: Gaussians, cell: float, moments: bool = False
    ) -> SceneStore:
        """An empty store, writable.

        Args:
            folder: is made if need be.
            template: any scene like those to be kept: its primitive, SH degree, extra fields and metadata.
            cell: side of the smallest cells, scene units: about 16 times the size of a Gaussian.
            moments: whether the optimizer's moments are kept with the rows, which takes three times the disk.

        Raises:
            UsageError: there is a store already, or scenes of this primitive cannot be kept so.
            ResourceError: the folder cannot be written to.
        """
        if not 0 < cell < np.inf:
            raise ValueError(f"cell must be positive and finite, got {cell}")
        if is_store(folder):
            raise UsageError(f"{os.fspath(folder)} holds a store already; choose another folder.")
        require_reach(template.primitive)
        make_folder(Path(folder))
        layout = Layout(template.detached().to("cpu").subset(slice(0, 0)), moments)
        Log(Path(folder, _log_name(1)), 0, writable=True).close()
        Index(layout, float(cell), _log_name(1)).write(Path(folder, INDEX))
        return cls(folder, writable=True)

    def close(self) -> None:
        """Lets go of the files. What was not committed is not kept."""
        self._log.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None

    def __enter__(self) -> SceneStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def layout(self) -> Layout:
        """Of a row."""
        return self._index.layout

    @property
    def template(self) -> Gaussians:
        """The scene without its rows."""
        return self._index.layout.template

    @property
    def cell(self) -> float:
        """Side of the smallest cells, scene units."""
        return self._index.cell

    @property
    def facts(self) -> dict[str, Any]:
        """What was told to the last `commit`."""
        return self._index.facts

    @property
    def num(self) -> int:
        """Number of Gaussians."""
        return int(self._index.records["rows"].sum())

    @property
    def row_bytes(self) -> int:
        return self._index.layout.dtype.itemsize

    @property
    def log_bytes(self) -> int:
        """Of the log, in use or not."""
        return self._index.size

    @property
    def cells(self) -> Keys:
        """[M] all cells that have rows, ascending."""
        return np.unique(self._index.records["key"])

    def rows_of(self, cells: Keys) -> npt.NDArray[np.int64]:
        """[M] how many Gaussians each of these cells has; they ascend."""
        counts = np.zeros(len(cells), np.int64)
        mine = self._index.records[found(self._index.records["key"], cells)]
        np.add.at(counts, np.searchsorted(cells, mine["key"]), mine["rows"])
        return counts

    def seen_by(self, camera: Camera) -> Keys:
        """The cells of which a camera's image may show something, ascending: all of these, and few others."""
        records = self._index.records
        low, high, reach = (records[name].astype(np.float64) for name in ("low", "high", "reach"))
        return np.unique(records["key"][may_see(camera, Boxes(low, high, reach), self.template.metadata)])

    def read(self, cells: Keys) -> tuple[Rows, Keys]:
        """The rows of some cells, in the order of cells and, in these, that in which they were added; and the
        cell of each.

        Args:
            cells: ascending; those that have no rows do not matter.

        Raises:
            DataError: the log became shorter or cannot be read.
        """
        records = self._index.records
        records = by_cell(records[found(records["key"], cells)])
        rows, done = self.layout.empty(int(records["rows"].sum())), 0
        for packed in self._packed(records):
            self.layout.unpack(packed, rows, slice(done, done + len(packed)))
            done += len(packed)
        return rows, np.repeat(records["key"], records["rows"])

    def add(self, rows: Rows) -> None:
        """Puts rows into the cells where they belong.

        Raises:
            ResourceError, ValueError: as for `replace`.
        """
        self.replace(NO_CELLS, rows)

    def replace(self, cells: Keys, rows: Rows) -> None:
        """Takes all rows of some cells away, and puts these into the cells where they belong now: the same or
        others.

        Args:
            cells: ascending; those that have no rows do not matter.

        Raises:
            ResourceError: the disk is full; then nothing has changed.
            ValueError: these are rows of another scene.
        """
        self._require_writable()
        order, records = self._placed(rows.scene)
        records["offset"] += self._index.size
        for part in blocks(rows.num, PIECE):
            packed = self.layout.pack(rows.subset(order[part]))
            self._log.write(packed, self._index.size + part.start * self.row_bytes)
        self._index.size += rows.num * self.row_bytes
        kept = self._index.records[~found(self._index.records["key"], cells)]
        self._index.records = np.concatenate([kept, records])

    def fill(self, pieces: Pieces) -> None:
        """Puts the rows of a scene into an empty store, each cell in one place, and commits. Reads the scene
        twice, and never has more of it in memory than a piece.

        Raises:
            ResourceError, ValueError: as for `replace`; and whatever comes with the pieces.
        """
        self._require_writable()
        if len(self._index.records):
            raise ValueError(f"{self.folder}: only an empty store can be filled; use add")
        cells = self._index.records
        for piece in pieces.open():
            cells = joined(by_cell(np.concatenate([cells, self._placed(piece)[1]])))
        ends = np.cumsum(cells["rows"]) * self.row_bytes
        cells["offset"] = ends - cells["rows"] * self.row_bytes
        places = cells["offset"].copy()
        for piece in pieces.open():
            order, records = self._placed(piece)
            packed = self.layout.pack(Rows(piece.subset(order)))
            which = np.searchsorted(cells["key"], records["key"])
            last = np.cumsum(records["rows"])
            for cell, end, rows in zip(which, last, records["rows"], strict=True):
                self._log.write(packed[end - rows : end], int(places[cell]))
                places[cell] += rows * self.row_bytes
        self._index.records, self._index.size = cells, int(ends[-1]) if len(ends) else 0
        self.commit()

    def commit(self, facts: Mapping[str, Any] | None = None) -> None:
        """Makes the present state the one that is there after a crash.

        Args:
            facts: JSON values to keep with it; None: those of before.

        Raises:
            ResourceError: the disk is full; then the last state that was committed stays.
        """
        self._require_writable()
        if facts is not None:
            self._index.facts = dict(facts)
        used = self.num * self.row_bytes
        if self._index.size - used > max(_LEAST_OUTDATED, used):
            self.compact()
            return
        self._log.sync()
        self._index.write(self.folder / INDEX)

    def compact(self) -> None:
        """Commits with a log that has nothing but the rows of the scene, in the order of their cells.

        Raises:
            ResourceError: there is no room on the disk for both logs; then the last state that was committed
                stays.
        """
        self._require_writable()
        old = self._index
        records = by_cell(old.records)
        log = Log(self.folder / _log_name(_log_number(old.log) + 1), 0, writable=True)
        try:
            size = 0
            for packed in self._packed(records):
                log.write(packed, size)
                size += packed.nbytes
            log.sync()
            records["offset"] = (np.cumsum(records["rows"]) - records["rows"]) * self.row_bytes
            index = Index(old.layout, old.cell, log.path.name, size, joined(records), old.facts)
            index.write(self.folder / INDEX)
        except BaseException:
            log.close()
            log.path.unlink(missing_ok=True)
            raise
        self._log.close()
        self._log.path.unlink(missing_ok=True)
        self._log, self._index = log, index

    def pieces(self) -> Pieces:
        """The scene piece by piece, in the order of its cells, as files are written from it."""

        def opened() -> Iterator[Gaussians]:
            for packed in self._packed(by_cell(self._index.records)):
                rows = self.layout.empty(len(packed))
                self.layout.unpack(packed, rows, slice(0, len(packed)))
                yield rows.scene

        return Pieces(self.template, self.num, opened)

    def _placed(self, scene: Gaussians) -> tuple[torch.Tensor, np.ndarray]:
        """The order of rows by their cells, and records of rows in that order, from the offset 0 on."""
        means, reach = scene.means.detach().numpy(), reach_of(scene).numpy()
        keys = cells_of(means, reach, self.cell)
        order = np.argsort(keys, kind="stable")
        records = records_of(keys[order], means[order], reach[order])
        records["offset"] = (np.cumsum(records["rows"]) - records["rows"]) * self.row_bytes
        return torch.from_numpy(order), records

    def _packed(self, records: np.ndarray) -> Iterator[np.ndarray]:
        """The rows of these records, one record after the other, at most `PIECE` at a time."""
        if not len(records):
            return
        # What follows each other in the log is read at once.
        ends = records["offset"] + records["rows"] * self.row_bytes
        apart = np.flatnonzero(np.append(True, records["offset"][1:] != ends[:-1]))
        offsets, counts = records["offset"][apart], np.add.reduceat(records["rows"], apart)
        last = np.cumsum(counts)
        for part in blocks(int(last[-1]), PIECE):
            packed = np.empty(part.stop - part.start, self.layout.dtype)
            done, run = part.start, int(np.searchsorted(last, part.start, side="right"))
            while done < part.stop:
                before = done - int(last[run] - counts[run])
                rows = min(int(counts[run]) - before, part.stop - done)
                place = packed[done - part.start : done - part.start + rows]
                self._log.read(place, int(offsets[run]) + before * self.row_bytes)
                done, run = done + rows, run + 1
            yield packed

    def _require_writable(self) -> None:
        if self._lock is None:
            raise UsageError(f"{self.folder} was opened for reading; SceneStore(folder, writable=True).")


def _log_name(number: int | str) -> str:
    return f"rows_{number:06d}.log" if isinstance(number, int) else f"rows_{number}.log"


def _log_number(name: str) -> int:
    return int(name.removeprefix("rows_").removesuffix(".log"))


def _locked(folder: Path) -> int:
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise ResourceError(f"{folder}: cannot be written to: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise UsageError(f"{folder} is in use by another process. Wait for it.") from None
    return descriptor
