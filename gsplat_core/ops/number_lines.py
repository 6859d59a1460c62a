"""Numbers out of lines of text: what is of the usual form, many times as fast as one at a time in Python."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from gsplat_core.ops import library  # noqa: F401  (loads the operators)


class NumberLines(NamedTuple):
    """The numbers of L lines with T repeats of the tail in all; columns are in the order of their letters.

    Attributes:
        head_integers: [L, letters i and b of the head] int64.
        head_numbers: [L, letters d of the head] float64.
        tail_integers, tail_numbers: the same of the tail, [T, ...].
        repeats: [L] int64 how often the tail occurs in each line.
        size: bytes of the text that were read, with the ends of the lines.
    """

    head_integers: npt.NDArray[np.int64]
    head_numbers: npt.NDArray[np.float64]
    tail_integers: npt.NDArray[np.int64]
    tail_numbers: npt.NDArray[np.float64]
    repeats: npt.NDArray[np.int64]
    size: int


def read_number_lines(text: bytes | bytearray | memoryview, head: str, tail: str) -> NumberLines:
    """The numbers of lines that have a pattern, up to the first line that has not.

    A line has the numbers of the head once and those of the tail any number of times. Letters say what they
    are: `i` a whole number of up to 18 digits, `b` one from 0 to 255, `d` a number of up to 19 digits, which
    becomes the nearest double. Where reading ends before the end of the text, the next line has other
    numbers, or one in a form that only Python reads: `inf`, `+1`, `1_000`, 1e300.

    Raises:
        RuntimeError: a pattern has other letters, or the tail none.
    """
    content = torch.zeros(0, dtype=torch.uint8)  # PyTorch takes no buffer of nothing
    if len(text):
        # Nothing is written there, but PyTorch warns of what could not be.
        content = torch.frombuffer(bytearray(text) if memoryview(text).readonly else text, dtype=torch.uint8)
    *tables, size = torch.ops.gsplat_core.read_number_lines(content, head, tail)
    integers, numbers, tail_integers, tail_numbers, repeats = (table.numpy() for table in tables)
    return NumberLines(integers, numbers, tail_integers, tail_numbers, repeats, size)
