"""A file of rows that grows at its end."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gsplat_core.errors import DataError, ResourceError


class Log:
    """
    Args:
        path: the file; made where it may be written to and is not there.
        size: how many bytes of it count; what is behind is cut off where it may be written to.

    Raises:
        DataError: it is shorter, or cannot be read.
        ResourceError: it cannot be written to.
    """

    def __init__(self, path: Path, size: int, writable: bool) -> None:
        self.path = path
        flags = (os.O_RDWR | os.O_CREAT) if writable else os.O_RDONLY
        try:
            # Not through a link: a folder from elsewhere may hold one to any file.
            self._file = os.open(path, flags | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise self._unwritable(error) if writable else self._unreadable(error) from error
        try:
            status = os.fstat(self._file)
            if writable and status.st_nlink > 1:
                raise DataError(
                    path, "the file has another name elsewhere, which must not be written to",
                    remedy="Copy the store.",
                )  # fmt: skip
            if (there := status.st_size) < size:
                raise DataError(
                    path, f"the log is cut off: {size:,} bytes are expected", f"byte {there}",
                    remedy="Make the store anew from its source.",
                )  # fmt: skip
            if writable:
                os.ftruncate(self._file, size)
        except BaseException:
            self.close()
            raise

    def read(self, rows: np.ndarray, offset: int) -> None:
        """Fills an array with what is at a place.

        Raises:
            DataError: it is not there, or cannot be read.
        """
        place, done = rows.view(np.uint8), 0
        while done < len(place):
            try:
                read = os.preadv(self._file, [place[done:].data], offset + done)
            except OSError as error:
                raise self._unreadable(error) from error
            if not read:
                end = f"byte {offset + done}"
                raise DataError(self.path, "the log became shorter while it was read", end)
            done += read

    def write(self, rows: np.ndarray, offset: int) -> None:
        """
        Raises:
            ResourceError: the disk is full.
        """
        data, done = rows.view(np.uint8).data, 0
        while done < len(data):
            try:
                done += os.pwrite(self._file, data[done:], offset + done)
            except OSError as error:
                raise self._unwritable(error) from error

    def sync(self) -> None:
        """Puts all that was written on the disk.

        Raises:
            ResourceError: that fails.
        """
        try:
            os.fsync(self._file)
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _unreadable(self, error: OSError) -> DataError:
        return DataError(self.path, f"cannot be read: {error.strerror}")

    def _unwritable(self, error: OSError) -> ResourceError:
        return ResourceError(
            f"{self.path}: cannot be written: {error.strerror}. Free some space or choose another folder; "
            "what was committed before is unchanged."
        )
