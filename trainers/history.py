"""`history.jsonl`: one line per logged step or event, appended while training, cut back on resume."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gsplat_core.errors import ResourceError
from gsplat_core.io.links import make_folder, unshare
from gsplat_core.ranges import LARGEST_INTEGER, Range
from gsplat_core.strict_json import json_text, parse_json

_STEPS = Range(0, LARGEST_INTEGER)
_LARGEST = 1e30  # charts cannot be drawn of anything beyond


class History:
    """Appends JSON lines; `position` is the size in bytes that a checkpoint remembers.

    All methods raise ResourceError where the file cannot be written.

    A line `{"step": .., "loss": .., ...}` is a logged step; a line with `"event"` is something that happened.
    Numbers that are not finite are null.
    """

    def __init__(
        self, path: Path, position: int = 0, told: Callable[[dict[str, Any]], None] = lambda entry: None
    ) -> None:
        """Opens `path` and drops what lies behind `position`: lines of steps that will be done again. A copy
        takes the place of a link.

        Args:
            told: called with every line that is appended, once it is written.
        """
        self._told = told
        make_folder(path.parent)
        unshare(path, position)
        self._path = path
        with self._explained():
            # Without a buffer: what could not be written is not tried again when the file is closed.
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 (closed in close)
        try:
            self.cut(position)
        except ResourceError:
            self._file.close()
            raise

    @property
    def position(self) -> int:
        return self._file.tell()

    def cut(self, position: int) -> None:
        with self._explained():
            self._file.truncate(min(position, self._file.tell()))
            self._file.seek(0, os.SEEK_END)

    def cut_after(self, step: int) -> None:
        """Drops the lines of later steps, which come last."""
        with self._explained():
            text = self._path.read_bytes()
        kept = 0
        for line in text.splitlines(keepends=True):
            entry = _entry(line.decode(errors="replace"))
            if entry is not None and entry.get("step", 0) > step:
                break
            kept += len(line)
        self.cut(kept)

    def append(self, **entry: Any) -> None:
        line = (json_text(entry, indent=None) + "\n").encode()
        with self._explained():
            while line:
                line = line[self._file.write(line) :]
        self._told(entry)

    def sync(self) -> None:
        """Makes sure that everything up to `position` is on the disk."""
        with self._explained():
            os.fsync(self._file.fileno())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ResourceError(
                f"{self._path}: cannot be written: {error.strerror or error}. Make room or make it writable; "
                "--resume continues from the last checkpoint."
            ) from error

    def close(self) -> None:
        self._file.close()


def read_history(path: Path) -> list[dict[str, Any]]:
    """All complete lines of a history file; one that a crash cut short or that is damaged is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    entries = map(_entry, text[: text.rfind("\n") + 1].splitlines())
    return [entry for entry in entries if isinstance(entry, dict)]


def _entry(line: str) -> Any:
    """The entry of a line; None where it is no JSON, or has numbers that no run has."""
    try:
        entry = parse_json(line)
    except ValueError:
        return None
    if not isinstance(entry, dict):
        return None
    step = entry.get("step", 0)
    if not isinstance(step, int) or step not in _STEPS:
        return None
    numbers = [value for value in entry.values() if isinstance(value, (int, float))]
    return entry if all(abs(number) <= _LARGEST for number in numbers) else None
