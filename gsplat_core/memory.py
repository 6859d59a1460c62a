"""How much main memory there is for this process."""

from __future__ import annotations

import errno
import os
import re
import resource
from contextlib import suppress
from pathlib import Path

# What Python, NumPy and PyTorch map before anything is done: below it their loaders end the process or tell
# something else than what is missing.
LEAST_ADDRESS_SPACE = 900 << 20
_TIGHT = 256 << 20
# How libraries say that there is no memory: PyTorch, the C++ library, the system's loader, Python's threads.
_WORDS = (
    "can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory", "bad_alloc",
    "failed to map segment", "can't start new thread",
)  # fmt: skip


def is_shortage(error: BaseException) -> bool:
    """Whether an exception of any library means that memory is missing, or followed from one that does."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    text = str(error).lower()
    before = error.__cause__ or error.__context__
    return any(words in text for words in _WORDS) or (before is not None and is_shortage(before))


def is_tight() -> bool:
    """Whether the process has come near its limit of address space."""
    left = address_space()
    return left is not None and left < _TIGHT


def memory_bytes() -> tuple[int, int | None]:
    """Main memory: (installed, free for us), in bytes. Free is None where the system does not say.

    Inside a container both are capped by its limit (cgroup version 2); what is free, by the limit of this
    process too (`ulimit -v`).
    """
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = None
    with suppress(OSError):
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
        free = int(found[1]) * 1024 if found else None
        group = Path("/sys/fs/cgroup")
        limit, used = (group / "memory.max").read_text(), (group / "memory.current").read_text()
        if limit.strip() != "max":
            total = min(total, int(limit))
            free = max(0, min(total if free is None else free, int(limit) - int(used)))
    left = address_space()
    if left is not None:
        free = left if free is None else min(free, left)
    return total, free


def address_space() -> int | None:
    """Bytes that this process may still map; None where it has no limit, or the system does not say."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return max(0, soft - pages * resource.getpagesize())
