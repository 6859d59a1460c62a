"""Errors that a user can act on. Each carries the exit code of the command line.

Exit codes: 2 wrong usage, 3 bad input data, 4 not enough resources, 5 numerical failure.
"""

from __future__ import annotations

import os
from typing import Any


class GsplatError(Exception):
    """Base of all errors raised on purpose; the command line prints it without a traceback."""

    exit_code = 1


class UsageError(GsplatError):
    """Options that make no sense alone or together."""

    exit_code = 2


class StaleLibraryError(UsageError, TypeError):
    """The compiled operators belong to another state of the Python code."""

    def __init__(self, difference: str) -> None:
        super().__init__(
            f"the compiled operators belong to another version of this code ({difference}). Build them again "
            "with `make build` in a checkout, or install gsplat-core again."
        )


class DataError(GsplatError):
    """An input file that cannot be used. The message says which, where in it, what is wrong and what helps.

    Args:
        path: the file or folder.
        problem: what is wrong with it, in one sentence without a full stop.
        place: where in the file (byte offset, line, record), when known.
        remedy: what the user can do about it.
    """

    exit_code = 3

    def __init__(self, path: str | os.PathLike[str], problem: str, place: str = "", remedy: str = "") -> None:
        self.path = os.fspath(path)
        self.problem = problem
        self.place = place
        self.remedy = remedy
        where = f"{self.path} ({place})" if place else self.path
        super().__init__(f"{where}: {problem}." + (f" {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are made again from their message, which is not what this one is made of.
        return type(self), (self.path, self.problem, self.place, self.remedy), vars(self)


class UnsuitableSceneError(DataError, ValueError):
    """A scene that a file format cannot hold; `path` is the file that was to be written, and was not."""


class ResourceError(GsplatError):
    """Memory, disk space or a permission is missing."""

    exit_code = 4


class NumericalError(GsplatError):
    """The computation produced values that are not finite and could not recover."""

    exit_code = 5
