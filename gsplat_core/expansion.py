"""How much a file may claim to hold for its size: what keeps a small one from filling the memory.

Compression has no limit of its own: a kilobyte can say that it is a gigabyte. Files of real scenes have at
least 7 bytes for each Gaussian, and what is not compressed grows at most fourfold where it becomes float32.
"""

from __future__ import annotations

import os

from gsplat_core.errors import DataError

FREE_EXPANSION = 1 << 20  # bytes
LARGEST_EXPANSION = 4

FREE_GAUSSIANS = 1 << 18
BYTES_PER_GAUSSIAN = 2

FREE_JSON = 64 << 20  # bytes of memory
LARGEST_JSON = 8
# What Python's objects take: a dictionary, a list, each of their entries, a character outside the usual ones.
_DICTIONARY, _LIST, _ENTRY, _CHARACTER = 232, 72, 40, 4

_REMEDY = "It is damaged, or made to fill memory: get it again."


class ExpansionError(DataError):
    """A file that claims to hold more than files of its size do."""


def check_expansion(path: str | os.PathLike[str], stored: int, claimed: int, place: str = "") -> None:
    """Refuses content that claims to be larger than 4 times the bytes that are stored, and 1 MiB.

    For what does not shrink in honest files: archives of compressed images, numbers that are widened.

    Raises:
        ExpansionError: `claimed` bytes are too many for `stored` ones.
    """
    limit = FREE_EXPANSION + LARGEST_EXPANSION * stored
    if claimed > limit:
        problem = f"{stored:,} bytes claim to hold {claimed:,}; at most {limit:,} are accepted"
        raise ExpansionError(path, problem, place, _REMEDY)


def check_density(
    path: str | os.PathLike[str],
    stored: int,
    count: int,
    place: str = "",
    trusted: bool = False,
    free: int = FREE_GAUSSIANS,
    each: int = BYTES_PER_GAUSSIAN,
) -> None:
    """Refuses compressed files with far more Gaussians for their bytes than real scenes have.

    Down to 2 bytes for each are accepted, which clouds of points take whose splats differ in place and
    colour only; and beyond that some in a file of any size, so that small scenes of equal splats pass. A
    decoded Gaussian takes at most 344 bytes, so this bounds memory and time by the size of the file.

    Args:
        trusted: nothing is refused.
        free: so many Gaussians may be in a file of any size.
        each: bytes that further ones need.

    Raises:
        ExpansionError: `count` Gaussians are too many for `stored` bytes.
    """
    limit = free + stored // each
    if count > limit and not trusted:
        raise ExpansionError(
            path,
            f"{stored:,} compressed bytes claim to hold {count:,} Gaussians; at most {limit:,} are accepted",
            place,
            f"{_REMEDY[:-1]}, or read it with the option trusted=true (--read) if you know what it is.",
        )


def check_json(path: str | os.PathLike[str], text: bytes) -> None:
    """Refuses JSON whose objects would take more than 8 times the memory of its text, and 64 MiB.

    Text of brackets alone takes 90 times as much; that of cameras and scenes, 3 to 6 times.

    Raises:
        ExpansionError: it would.
    """
    needed = _DICTIONARY * text.count(b"{") + _LIST * text.count(b"[") + _ENTRY * text.count(b",")
    needed += _CHARACTER * len(text)
    limit = FREE_JSON + LARGEST_JSON * len(text)
    if needed > limit:
        problem = (
            f"its {len(text):,} bytes of JSON would take {needed:,} in memory, at most {limit:,} are accepted"
        )
        raise ExpansionError(path, problem, remedy=_REMEDY)
