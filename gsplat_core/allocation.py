"""How the processor's memory is asked from the system, for training loops (Linux with the GNU C library).

A step allocates and frees the same tensors as the step before it. Left to themselves, the library returns
their memory to the system and asks for it again, which hands it out in pages of 4 KB, each filled with zeros
and entered into a table: with large scenes up to a fifth of a step.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

# Names of `mallopt`, from malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 << 20  # the most that M_MMAP_THRESHOLD may be


def use_large_pages() -> None:
    """Asks PyTorch for pages of 2 MB; must be called before PyTorch is imported. The user's choice stays."""
    if "torch" not in sys.modules:
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def give_back_freed_memory() -> None:
    """Returns what `keep_freed_memory` has kept; for when another scene takes the place of one."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> None:
    """Keeps the memory of tensors up to 32 MB, which is all that a step allocates for two million Gaussians.

    For the whole process and its other libraries, from now on; call it once, before a training loop. Larger
    tensors, such as the parameters of a scene that grows, still come from the system and return to it. What
    is kept counts as resident memory of the process until `give_back_freed_memory`. Without effect where the
    C library has no such setting.
    """
    with suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        library.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
