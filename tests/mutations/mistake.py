"""A single mistake: one piece of a source file's text replaced by another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """`old` at the place `start` of a file's text becomes `new`.

    Args:
        file: relative to the root of the checkout, with slashes.
        line: of the place, counted from 1.
        start: characters before the place.
        kind: what sort of mistake it is, in a few words.
    """

    file: str
    line: int
    start: int
    old: str
    new: str
    kind: str

    def applied(self, text: str) -> str:
        end = self.start + len(self.old)
        if text[self.start : end] != self.old:
            raise ValueError(f"{self.file}:{self.line} is not {self.old!r}: the file has changed")
        return text[: self.start] + self.new + text[end:]

    def change(self, text: str) -> str:
        """What happens to the line, such as ``+ -> -``; where the same stands on the line several times, with
        its number."""
        begin = text.rfind("\n", 0, self.start) + 1
        end = text.find("\n", self.start)
        line = text[begin : end if end >= 0 else len(text)]
        change = " -> ".join(" ".join(part.split()) or "nothing" for part in (self.old, self.new))
        if line.count(self.old) < 2:
            return change
        return f"{change} (number {text[begin : self.start].count(self.old) + 1})"


def line_text(text: str, line: int) -> str:
    return text.split("\n")[line - 1].strip()
