"""trainers/next_steps.py: what a command ends with can be copied into the shell that called it."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from trainers.next_steps import next_steps, program, quoted


@pytest.mark.parametrize(
    ("called", "found", "expected"),
    [
        (".venv/bin/gsplat-core", None, ".venv/bin/gsplat-core"),
        (".venv/bin/gsplat-core", "/usr/bin/gsplat-core", "gsplat-core"),
        ("/home/a b/bin/gsplat-core", None, "'/home/a b/bin/gsplat-core'"),
        ("/usr/lib/trainers/cli.py", None, "gsplat-core"),
    ],
)
def test_the_program_is_called_as_it_can_be(
    monkeypatch: pytest.MonkeyPatch, called: str, found: str | None, expected: str
) -> None:
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr(shutil, "which", lambda name: found)
    assert program() == expected


def test_each_step_is_a_line_with_its_command() -> None:
    run = Path("runs/a b")
    lines = next_steps(("view", quoted(run), "look"), ("export", f"{quoted(run)} -o s.sog", "send"))
    assert [line.split()[0] == "next" for line in lines] == [True, False]
    assert "runs/a b" in shlex.split(lines[0])
    assert lines[0].index("look") == lines[1].index("send")
