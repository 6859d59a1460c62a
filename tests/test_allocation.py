"""Memory that is freed and asked for again comes from the process, not from the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PAGES = """
import ctypes, resource, sys
from gsplat_core.allocation import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
SIZE = 28 << 20

def step():
    blocks = [ctypes.c_void_p(library.malloc(ctypes.c_size_t(SIZE))) for _ in range(3)]
    for block in blocks:
        ctypes.memset(block, 1, SIZE)
    for block in blocks:
        library.free(block)

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

step()
step()
before = pages()
for _ in range(10):
    step()
print((pages() - before) / 10)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of the GNU C library")
def test_a_step_asks_the_system_for_no_pages() -> None:
    def pages_per_step(choice: str) -> float:
        command = [sys.executable, "-c", PAGES, choice]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert pages_per_step("left") > 1000, "otherwise these 84 MB test nothing"
    assert pages_per_step("kept") < 10
