"""Mistakes that are none: they change nothing that anybody could see, each with the reason."""

from __future__ import annotations

import json
from pathlib import Path

from mutations.mistake import Mistake, line_text

EQUIVALENT = Path(__file__).with_name("equivalent.json")


class Equivalent:
    """The entries of ``equivalent.json``: `file`, `line` (its text), `change` and `reason`."""

    def __init__(self, path: Path = EQUIVALENT) -> None:
        entries = json.loads(path.read_text())
        self._reasons = {(e["file"], e["line"], e["change"]): e["reason"] for e in entries}

    def reason(self, mistake: Mistake, text: str) -> str | None:
        """None for a mistake that the tests have to notice."""
        return self._reasons.get((mistake.file, line_text(text, mistake.line), mistake.change(text)))

    def stale(self, root: Path) -> list[str]:
        """The entries whose line is in its file no more."""
        return [
            f"{file}: {line}"
            for file, line, _ in self._reasons
            if not (root / file).exists() or line not in map(str.strip, (root / file).read_text().split("\n"))
        ]
