"""Which numbers a setting may have, written where its type is: `steps: Annotated[int, Range(1, 10**9)]`.

The ranges hold for the command line, for Python and for files alike: a dataclass with such fields calls
`check_ranges` in its `__post_init__`.
"""

from __future__ import annotations

import functools
import math
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

# Whole numbers beyond this are not the same in all programs that read JSON.
LARGEST_INTEGER = 2**53


@dataclass(frozen=True)
class Range:
    """From `least` to `most`; both are included, but for those that are `open`."""

    least: float
    most: float = math.inf
    open: Literal["", "least", "most", "both"] = ""

    def __contains__(self, value: float) -> bool:
        above = value > self.least if self.open in ("least", "both") else value >= self.least
        below = value < self.most if self.open in ("most", "both") else value <= self.most
        return above and below

    def __str__(self) -> str:
        if self.most == math.inf:
            return f"{'more than' if self.open in ('least', 'both') else 'at least'} {self.least:,g}"
        if not self.open:
            return f"from {self.least:,g} to {self.most:,.16g}"
        low = "more than" if self.open in ("least", "both") else "at least"
        high = "less than" if self.open in ("most", "both") else "at most"
        return f"{low} {self.least:,g} and {high} {self.most:,.16g}"


# What most settings are. The upper ends are far beyond any use: sums and products of such numbers are finite.
POSITIVE = Range(0, 1e12, "least")
NOT_NEGATIVE = Range(0, 1e12)
SHARE = Range(0, 1)
SOME_SHARE = Range(0, 1, "least")
BETWEEN_0_AND_1 = Range(0, 1, "both")
STEP = Range(0, LARGEST_INTEGER)
INTERVAL = Range(1, LARGEST_INTEGER)
SEED = Range(0, LARGEST_INTEGER)
# Splats are numbered in 32 bits.
COUNT = Range(1, 2**31 - 1)


def range_in(hint: Any) -> Range | None:
    """The range in a type, which may be one of several, as in `Annotated[int, Range(1)] | None`."""
    if typing.get_origin(hint) is Annotated:
        return next((extra for extra in typing.get_args(hint)[1:] if isinstance(extra, Range)), None)
    found = [range_in(option) for option in typing.get_args(hint) if typing.get_origin(option) is Annotated]
    return found[0] if found else None


@functools.cache
def ranges_of(cls: type) -> dict[str, Range]:
    """The ranges of a dataclass's fields, of those that have one."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {name: found for name, hint in hints.items() if (found := range_in(hint)) is not None}


def check_ranges(instance: Any) -> None:
    """Raises ValueError for a field of a dataclass whose number is outside its range; what is no
    number is in all: None, or a name such as "auto"."""
    cls: type = type(instance)
    for name, allowed in ranges_of(cls).items():
        value = getattr(instance, name)
        if not (value is None or isinstance(value, str)) and value not in allowed:
            raise ValueError(f"{name} = {shortened(value)}: expected a number {allowed}")


def shortened(value: Any) -> str:
    """A value as text for a message, of no more than a line."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**60 else "a number of many digits"
    return text if len(text) <= 80 else text[:80] + " ..."
