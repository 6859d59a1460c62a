"""How much main memory there is for this process."""

from __future__ import annotations

import os
import re
import resource
from contextlib import suppress
from pathlib import Path


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
