"""Which rows of which cell are where in the log: one file, `index`, that is replaced as a whole.

A line of JSON, then a table of records. A record is a run of rows of one cell in the log, with the box of
their centres and how far from it something of them can be seen; a cell has one record or more.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gsplat_core.errors import DataError
from gsplat_core.io.atomic import atomic_file
from gsplat_core.store.cells import Keys
from gsplat_core.store.layout import Layout
from gsplat_core.strict_json import parse_json

FORMAT = 1
RECORD = np.dtype(
    [
        ("key", "<i8"),
        ("offset", "<i8"),
        ("rows", "<i8"),
        ("low", "<f4", 3),
        ("high", "<f4", 3),
        ("reach", "<f4"),
    ]
)
_LONGEST_HEADER = 1 << 20
_REMEDY = "The store is damaged; make it anew from its source."


@dataclass(eq=False)
class Index:
    """
    Args:
        layout: of a row.
        cell: side of the smallest cells, scene units.
        log: the name of the log's file.
        size: how many bytes of it belong to the store; what is behind was never committed.
        records: [M] `RECORD`.
        facts: JSON values of whoever uses the store, such as how far a training has come.
    """

    layout: Layout
    cell: float
    log: str
    size: int = 0
    records: np.ndarray = field(default_factory=lambda: np.zeros(0, RECORD))
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """
        Raises:
            ResourceError: it cannot be written; what was there before is unchanged.
        """
        table = self.records.tobytes()
        header = {
            "format": FORMAT, "layout": self.layout.to_json(), "cell": self.cell, "log": self.log,
            "size": self.size, "records": len(self.records), "facts": self.facts,
        }  # fmt: skip
        header["sha256"] = _sha256(header, table)
        with atomic_file(path) as file:
            file.write(json.dumps(header).encode() + b"\n")
            file.write(table)

    @classmethod
    def read(cls, path: Path) -> Index:
        """
        Raises:
            DataError: it is missing, damaged, or of another version.
        """
        try:
            with open(path, "rb") as file:
                line = file.readline(_LONGEST_HEADER)
                header = parse_json(line)
                number = header.pop("format")
                if number != FORMAT:
                    raise DataError(
                        path, f"of format {number!r:.20}; this version reads {FORMAT}",
                        remedy="Use the version of gsplat-core that wrote it.",
                    )  # fmt: skip
                table = file.read()
            sha256 = header.pop("sha256")
            if sha256 != _sha256({"format": number, **header}, table):
                raise DataError(path, "its content does not match its hash", remedy=_REMEDY)
            return cls._of(header, table)
        except OSError as error:
            raise DataError(path, f"cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise DataError(path, f"not the index of a store ({str(error)[:120]})", remedy=_REMEDY) from error

    @classmethod
    def _of(cls, header: Mapping[str, Any], table: bytes) -> Index:
        records = np.frombuffer(table, RECORD).copy()
        index = cls(
            Layout.from_json(header["layout"]), float(header["cell"]), header["log"], header["size"], records,
            header["facts"],
        )  # fmt: skip
        ends = records["offset"] + records["rows"] * index.layout.dtype.itemsize
        if Path(index.log).name != index.log or not 0 < index.cell < np.inf:
            raise ValueError("an impossible entry")
        if len(records) != header["records"] or (records["rows"] < 1).any():
            raise ValueError("an impossible number of rows")
        if (records["offset"] < 0).any() or (ends > index.size).any() or (records["key"] < 0).any():
            raise ValueError("a record outside of the log")
        return index


def _sha256(header: Mapping[str, Any], table: bytes) -> str:
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(table)
    return digest.hexdigest()


def records_of(keys: Keys, means: npt.NDArray[np.float32], reach: npt.NDArray[np.float32]) -> np.ndarray:
    """Records of rows that lie one behind the other in the order of their cells; without offsets.

    Args:
        keys: [N] ascending.
        means, reach: [N, 3] and [N].
    """
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    records = np.zeros(len(starts), RECORD)
    if len(starts):
        records["key"] = keys[starts]
        records["rows"] = np.diff(starts, append=len(keys))
        records["low"] = np.minimum.reduceat(means, starts)
        records["high"] = np.maximum.reduceat(means, starts)
        records["reach"] = np.maximum.reduceat(reach, starts)
    return records


def joined(records: np.ndarray) -> np.ndarray:
    """One record for each cell, with the offset of its first one.

    Args:
        records: [M] whose keys ascend.
    """
    starts = np.flatnonzero(np.diff(records["key"], prepend=-1))
    cells = records[starts]
    if len(starts):
        cells["rows"] = np.add.reduceat(records["rows"], starts)
        cells["low"] = np.minimum.reduceat(records["low"], starts)
        cells["high"] = np.maximum.reduceat(records["high"], starts)
        cells["reach"] = np.maximum.reduceat(records["reach"], starts)
    return cells


def by_cell(records: np.ndarray) -> np.ndarray:
    """In the order of cells, and those of one cell in the order in which they were added."""
    return records[np.argsort(records["key"], kind="stable")]


def found(keys: Keys, cells: Keys) -> npt.NDArray[np.bool_]:
    """[N] which keys are among some cells, which ascend."""
    if not len(cells):
        return np.zeros(len(keys), bool)
    place = np.searchsorted(cells, keys).clip(max=len(cells) - 1)
    among: npt.NDArray[np.bool_] = cells[place] == keys
    return among
