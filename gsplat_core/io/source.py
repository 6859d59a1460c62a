"""The bytes of an input file, taken piece by piece with a check of every length."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gsplat_core.errors import DataError


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading; no pipes, devices or folders, which could block or never end.

    Raises:
        DataError: it is something else, or cannot be opened.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataError(path, "not a regular file")
        return open(path, "rb")
    except OSError as error:
        raise DataError(path, f"cannot be opened: {error.strerror}") from error


def read_whole(path: Path) -> bytes:
    """The content of a regular file; see `open_regular` for the errors."""
    with open_regular(path) as file:
        return file.read()


def file_sha256(path: str | os.PathLike[str]) -> bytes:
    """Of a file's content, which need not fit into memory.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


class Source:
    """A cursor over bytes that raises `DataError` with the place where something is missing.

    Args:
        data: the bytes.
        path: file that they come from, for messages.
        part: what they are within that file, for messages ("" for the file itself).
    """

    def __init__(self, data: bytes | memoryview, path: Path, part: str = "") -> None:
        self.data = memoryview(data)
        self.path = path
        self.part = part
        self.position = 0

    @property
    def remaining(self) -> int:
        return len(self.data) - self.position

    def take(self, size: int, what: str) -> memoryview:
        """The next `size` bytes."""
        if size > self.remaining:
            raise self.error(f"{what}: {size:,} bytes are needed, {self.remaining:,} are there")
        self.position += size
        return self.data[self.position - size : self.position]

    def array(self, dtype: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
        """The next numbers, a view of the bytes that cannot be written to."""
        dtype = np.dtype(dtype)
        size = dtype.itemsize
        for n in shape:
            size *= n  # Python integers: products of lying counts do not wrap
        return np.frombuffer(self.take(size, what), dtype).reshape(shape)

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        """The next numbers by a format of `struct`, little-endian."""
        layout = "<" + layout
        return struct.unpack(layout, self.take(struct.calcsize(layout), what))

    def error(self, problem: str, remedy: str = "") -> DataError:
        """A `DataError` at the current place."""
        place = f"byte {self.position}" + (f" of {self.part}" if self.part else "")
        return DataError(self.path, problem, place, remedy)
