"""The body of a PLY file: the vertices as columns, from text and from binary numbers of either byte order."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.io.arrays import blocks, in_blocks
from gsplat_core.io.format import DataWarning
from gsplat_core.io.ply_header import PlyElement, PlyHeader

_CHUNK = 1 << 16
_LONGEST_LIST = 1 << 20  # a row with a list
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLOCK_BYTES = 1 << 19  # stays in a second-level cache while rows are taken apart


def check_size(
    file: BinaryIO, header: PlyHeader, vertex: PlyElement, path: Path, noun: str = "splats"
) -> None:
    """Refuses, before anything is allocated, counts that the file cannot hold; warns about surplus bytes.

    Args:
        noun: what the records are called.

    Raises:
        DataError: the file is too short, or where the records begin is unknown.
    """
    actual = os.fstat(file.fileno()).st_size
    if header.encoding == "ascii":
        # The shortest row has one digit and one separator per number.
        if vertex.count * 2 * len(vertex.scalars) - 1 > actual - header.size:
            raise DataError(
                path, f"too short for {vertex.count:,} {noun}: {actual:,} bytes", f"line {vertex.line}"
            )
        return
    before = header.elements[: header.elements.index(vertex)]
    listed = next((element for element in before if element.lists), None)
    if listed is not None:
        raise DataError(
            path, f"element {listed.name!r} with lists stands before the vertices", f"line {listed.line}"
        )
    start, size = _vertex_start(header, vertex), vertex.dtype(header.byte_order).itemsize
    expected = start + vertex.count * size
    if actual < expected:
        raise DataError(
            path,
            f"the file is cut off: {vertex.count:,} {noun} of {size} bytes need {expected:,} bytes, "
            f"it has {actual:,} ({max(0, actual - start) // size:,} complete {noun})",
            f"byte {actual}",
        )
    after = header.elements[len(before) + 1 :]
    if not any(element.lists for element in after):
        rest = actual - expected - sum(e.count * e.dtype(header.byte_order).itemsize for e in after)
        _warn_about_rest(path, rest, "bytes")


def _vertex_start(header: PlyHeader, vertex: PlyElement) -> int:
    before = header.elements[: header.elements.index(vertex)]
    return header.size + sum(e.count * e.dtype(header.byte_order).itemsize for e in before)


def read_columns(
    file: BinaryIO,
    header: PlyHeader,
    vertex: PlyElement,
    columns: dict[str, np.ndarray],
    path: Path,
    noun: str = "splats",
    first: int = 0,
) -> None:
    """Fills the columns, arrays of one length by property name, from the body of the file.

    Args:
        first: the row with which they begin; of text only whole files are read.

    Raises:
        DataError: a line of text that is not a row of numbers, or the file became shorter.
    """

    def fill(rows: slice, records: Mapping[str, np.ndarray] | np.ndarray) -> None:
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # a double beyond float32 becomes infinite, found later
            for name, column in columns.items():
                column[rows] = records[name]

    if header.encoding == "ascii":
        for rows, records in _ascii_records(file, header, vertex, path, noun):
            fill(rows, records)
        return
    dtype = vertex.dtype(header.byte_order)
    start = _vertex_start(header, vertex) + first * dtype.itemsize

    def read(rows: slice) -> None:
        size = (rows.stop - rows.start) * dtype.itemsize
        data = os.pread(file.fileno(), size, start + rows.start * dtype.itemsize)
        if len(data) != size:
            raise DataError(path, "the file became shorter while it was read", f"row {first + rows.start}")
        fill(rows, np.frombuffer(data, dtype))

    in_blocks(len(next(iter(columns.values()))), read, block_rows(dtype.itemsize))


def block_rows(row_bytes: int) -> int:
    return max(1, _BLOCK_BYTES // row_bytes)


def _ascii_records(
    file: BinaryIO, header: PlyHeader, vertex: PlyElement, path: Path, noun: str
) -> Iterator[tuple[slice, Mapping[str, np.ndarray]]]:
    """The same from text, one line per row; empty lines are skipped."""
    file.seek(header.size)
    numbered = (
        (number, line)
        for number, line in enumerate(_lines(file, header, path), header.lines + 1)
        if line.strip()
    )
    for element in header.elements[: header.elements.index(vertex)]:
        for _ in itertools.islice(numbered, element.count):
            pass
    for rows in blocks(vertex.count, block_rows(16 * len(vertex.scalars))):
        lines = list(itertools.islice(numbered, rows.stop - rows.start))
        if len(lines) < rows.stop - rows.start:
            raise DataError(
                path,
                f"the file is cut off: expected {vertex.count:,} {noun}, found {rows.start + len(lines):,}",
                f"after line {lines[-1][0] if lines else header.lines}",
            )
        table = _parse_lines(lines, len(vertex.scalars), path)
        yield rows, dict(zip(vertex.scalars, table.T, strict=True))
    if header.elements[-1] is vertex:
        _warn_about_rest(path, sum(1 for _ in numbered), "lines")


def _lines(file: BinaryIO, header: PlyHeader, path: Path) -> Iterator[bytes]:
    """Lines of the body, whichever ending they have (also the lone carriage return).

    Raises:
        DataError: a line so long that it can be no row of the file.
    """
    lists = any(element.lists for element in header.elements)
    longest = _LONGEST_LIST if lists else 1024 + 64 * max(len(e.scalars) for e in header.elements)
    rest, number = b"", header.lines
    while chunk := file.read(_CHUNK):
        if chunk.endswith(b"\r"):  # the end of this line may have a second part
            chunk += file.read(1)
        *lines, rest = _LINE_END.split(rest + chunk)
        number += len(lines)
        if len(rest) > longest:
            raise DataError(path, f"a line of more than {longest:,} bytes", f"line {number + 1}")
        yield from lines
    if rest:
        yield rest


def _parse_lines(lines: list[tuple[int, bytes]], width: int, path: Path) -> np.ndarray:
    """Numbers [lines, width], float64 (which holds every PLY type exactly)."""
    with contextlib.suppress(ValueError):
        table = np.loadtxt([line.decode("latin-1") for _, line in lines], comments=None, ndmin=2)
        if table.shape == (len(lines), width):
            return table
    for number, line in lines:  # something is wrong: find the first line that is
        words = line.split()
        if len(words) != width:
            raise DataError(path, f"expected {width} numbers, found {len(words)}", f"line {number}")
        for word in words:
            try:
                float(word)
            except ValueError:
                raise DataError(path, f"not a number: {word[:40]!r}", f"line {number}") from None
    raise DataError(path, "not rows of numbers", f"lines {lines[0][0]} to {lines[-1][0]}")


def _warn_about_rest(path: Path, rest: int, unit: str) -> None:
    if rest > 0:
        warnings.warn(
            f"{path}: {rest:,} {unit} after the end of the data are ignored", DataWarning, stacklevel=4
        )
