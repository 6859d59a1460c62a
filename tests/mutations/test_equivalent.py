"""Mistakes that are none are known by the text of their line, wherever it stands."""

from __future__ import annotations

import json
from pathlib import Path

from mutations.equivalent import EQUIVALENT, Equivalent
from mutations.python_mistakes import python_mistakes


def test_entries_are_known_by_their_line(tmp_path: Path) -> None:
    entry = {"file": "a.py", "line": "v = w + w + 2", "change": "+ -> - (number 2)", "reason": "w + 2 is 0"}
    (tmp_path / "equivalent.json").write_text(json.dumps([entry]))
    known = Equivalent(tmp_path / "equivalent.json")
    for text in ("v = w + w + 2", "x = 1\nif x:\n    v = w + w + 2\n"):
        reasons = {
            m.change(text): known.reason(m, text) for m in python_mistakes("a.py", text) if "v" in text
        }
        assert reasons["+ -> - (number 2)"] == "w + 2 is 0"
        assert reasons["+ -> - (number 1)"] is None
    (tmp_path / "a.py").write_text("v = w + w + 2")
    assert known.stale(tmp_path) == []
    (tmp_path / "a.py").write_text("v = 2")
    assert known.stale(tmp_path) == ["a.py: v = w + w + 2"]


def test_each_entry_has_a_reason() -> None:
    for entry in json.loads(EQUIVALENT.read_text()):
        assert set(entry) == {"file", "line", "change", "reason"}
        assert len(entry["reason"].split()) >= 4
