"""The library that makes system calls fail, from Python."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")


def build(folder: Path) -> Path:
    """Compiles the library, which has to be in LD_PRELOAD when a process starts that uses `failing`."""
    library = folder / "libfaults.so"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


@dataclass
class Failure:
    """What a block has met.

    Args:
        calls: how many there were below the folder that write.
        first: the first that failed, such as "fsync /folder/file"; "" where none did.
    """

    calls: int = 0
    first: str = ""


@contextmanager
def failing(folder: Path, nth: int, error: int = 0, ever: bool = False) -> Iterator[Failure]:
    """Within the block the nth system call fails that writes below a folder, of all threads and native code.

    Args:
        folder: as the system names it, without symbolic links.
        nth: counted from 1; 0 lets none fail.
        error: its errno.
        ever: all calls after it fail, too.
    """
    library = ctypes.CDLL(None)
    library.faults_told.restype = ctypes.c_char_p
    failure = Failure()
    library.faults_arm(os.fsencode(folder), nth, error, int(ever))
    try:
        yield failure
    finally:
        failure.calls = library.faults_disarm()
        failure.first = os.fsdecode(library.faults_told())
