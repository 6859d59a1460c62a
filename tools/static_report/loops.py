"""Instructions of the innermost loop of a kernel that blends splats: the one that evaluates exponentials.

A loop iteration visits one splat; each of the warp's rows of 32 pixels that the splat may touch is a block
of instructions that is jumped over otherwise. So a visit costs ``visit`` instructions, and ``row`` more for
every row that is not skipped, each of which blends 32 pairs of a pixel and a splat.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_INSTRUCTION = re.compile(r"\s*/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;")
_LABEL = re.compile(r"(\.L_x_\d+):")
_BRANCH = re.compile(r"\bBRA(?:\.\w+)*\s+(?:!?U?P\d, )?`\((\.L_x_\d+)\)")
_EXPONENTIAL = "MUFU.EX2"


@dataclass(frozen=True)
class Loop:
    """Instructions per visit of a splat, and for each of ``rows`` rows of 32 pixels in addition."""

    visit: int
    row: float
    rows: int

    @property
    def per_32_pairs(self) -> float:
        """Where no row is skipped: the longest path through the loop, per row."""
        return self.visit / self.rows + self.row


def count_instructions(listing: Sequence[str]) -> int:
    """Without those that only fill up the end."""
    found = [_INSTRUCTION.match(line) for line in listing]
    return sum(instruction is not None and instruction[2] != "NOP" for instruction in found)


def blending_loop(listing: Sequence[str]) -> Loop | None:
    """The smallest loop with an exponential; None in kernels without."""
    instructions: list[str] = []
    labels: dict[str, int] = {}
    for line in listing:
        if label := _LABEL.match(line):
            labels[label[1]] = len(instructions)
        elif instruction := _INSTRUCTION.match(line):
            instructions.append(instruction[2])
    branches = [
        (source, labels[branch[1]])
        for source, text in enumerate(instructions)
        if (branch := _BRANCH.search(text)) and branch[1] in labels
    ]

    def exponentials(begin: int, end: int) -> int:
        return sum(_EXPONENTIAL in text for text in instructions[begin:end])

    loops = [(target, source + 1) for source, target in branches if target <= source]
    loops = [loop for loop in loops if exponentials(*loop)]
    if not loops:
        return None
    begin, end = min(loops, key=lambda loop: loop[1] - loop[0])
    # What a forward jump passes over: the widest of those around each exponential.
    skipped = [(s + 1, t) for s, t in branches if begin <= s < t <= end and exponentials(s + 1, t) == 1]
    rows = {
        max(
            (span for span in skipped if span[0] <= i < span[1]),
            key=lambda span: span[1] - span[0],
            default=(i, i),
        )
        for i in range(begin, end)
        if _EXPONENTIAL in instructions[i]
    }
    in_rows = sum(last - first for first, last in rows)
    return Loop(visit=end - begin - in_rows, row=in_rows / len(rows), rows=len(rows))
