"""What becomes of exceptions that nobody expected: a report in a file, and one sentence for the user."""

from __future__ import annotations

import errno
import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path

import gsplat_core
from gsplat_core.errors import DataError, GsplatError, ResourceError
from gsplat_core.memory import is_shortage, is_tight
from trainers.interrupt import interruption

_LONGEST_REASON = 300
_IMPOSSIBLE_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR)


class InternalError(GsplatError):
    """A defect of the program, not of its input; a report was written."""


class InterruptionError(GsplatError):
    """What failed because a signal came at a bad moment."""

    exit_code = 130


def told(error: Exception, report: Path | None = None) -> GsplatError:
    """An unexpected exception, which is being handled, as an error that can be shown.

    Args:
        report: where to describe it; None makes a new file in the folder for temporary files.

    Returns:
        `InterruptionError` after a signal; `DataError` where a name is one that no file can have;
        `ResourceError` where memory, disk space, a permission or a package is missing; else `InternalError`
        with the path of the report, which is written for no other.
    """
    if isinstance(error, GsplatError):
        return error
    if stopped := interruption():
        return InterruptionError(stopped)
    if isinstance(error, OSError) and error.errno in _IMPOSSIBLE_NAME and error.filename is not None:
        name = os.fsdecode(error.filename)
        return DataError(
            name if len(name) <= 100 else f"{name[:100]} ...", f"no usable name: {error.strerror}"
        )
    if reason := _shortage(error):
        return ResourceError(reason)
    if report is None:
        name = f"gsplat-core-crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        report = Path(tempfile.gettempdir()) / name
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + " ..."
    try:
        report.unlink(missing_ok=True)
        with open(report, "x", encoding="utf-8") as file:  # never through a link that somebody left there
            file.write(crash_text())
        where = f"{report} describes it; please attach that file when you report it."
    except OSError:  # nowhere to write: the report itself must do
        where = f"No report could be written. It was raised at {_place(error)}."
    return InternalError(
        f"internal error: {type(error).__name__}: {text}\nThis is a defect of gsplat-core. {where}"
    )


def crash_text() -> str:
    """The exception being handled, with what one needs to know about the machine."""
    import torch

    lines = [
        f"gsplat-core {gsplat_core.__version__}, torch {torch.__version__}",
        f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores",
        f"command: {sys.argv}",
        f"time: {time.strftime('%F %T %z')}",
        "",
        traceback.format_exc(),
    ]
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode()


def _shortage(error: Exception) -> str | None:
    """What to tell when the exception means that memory, disk space, a permission or a package is missing."""
    if is_shortage(error):
        advice = "A larger --downscale or a smaller --max-gaussians needs less."
        return f"not enough memory. {advice} The last checkpoint stays."
    if isinstance(error, ImportError):
        if is_tight():  # what was half loaded when memory ended is not found by those that need it
            return "not enough memory to load what is needed. Raise the limit of address space (ulimit -v)."
        return (
            f"something that is needed is not installed: {error} `gsplat-core doctor` shows what is missing."
        )
    if not isinstance(error, OSError):
        return None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({error}). Make room; --resume continues from the last checkpoint."
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}. Check the path and its permissions, or choose another."
    if error.errno in (errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM):
        return f"the disk cannot be written ({error}). Check it, or choose another."
    return None


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
