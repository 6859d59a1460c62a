"""Records of a file that cannot be used: left out and counted, or the end of reading."""

from __future__ import annotations

from pathlib import Path

from gsplat_core.errors import DataError


class Rejects:
    """The bad records of one file. A few cost themselves; more than there are good ones, and the file is not
    what it seems.

    Args:
        path: the file.
        records: what a record is called, in the plural.
        strict: raise the first error at once.
        least: with fewer good records the file is of no use.
    """

    def __init__(self, path: Path, records: str, strict: bool, least: int = 1) -> None:
        self.path = path
        self.records = records
        self.strict = strict
        self.least = least
        self.count = 0
        self.first: DataError | None = None  # not all: a line of two bytes would cost a thousand

    def add(self, error: DataError) -> None:
        """Notes a record that is left out.

        Raises:
            DataError: `error`, if strict.
        """
        if self.strict:
            raise error
        self.count += 1
        if self.first is None:
            self.first = error.with_traceback(None)

    def finish(self, good: int, warnings: list[str]) -> None:
        """Sums up after `good` usable records.

        Raises:
            DataError: the first error, if more records are bad than good, or too few are good.
        """
        count, first = self.count, self.first
        if first is not None and (count > good or good < self.least):
            raise first
        if first is not None:
            warnings.append(
                f"{self.path}: {count} of {count + good} {self.records} cannot be used and are left out, "
                f"first {first.place}: {first.problem}."
            )
