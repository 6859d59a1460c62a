"""What to do after a command: commands to copy, called as this one was."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

NAME = "gsplat-core"


def program() -> str:
    """How to call this program here: by its name where that is found, or else by its path in the environment
    that it was called from, which need not be activated."""
    called = Path(sys.argv[0]) if sys.argv else Path(NAME)
    if shutil.which(NAME) or called.name != NAME:
        return NAME
    return shlex.quote(str(called))


def next_steps(*steps: tuple[str, str, str]) -> list[str]:
    """A line for each step: a command, what it takes, and what comes of it.

    Args:
        steps: such as ("view", "runs/demo", "look around in the browser"); what it takes is quoted already.
    """
    commands = [f"{program()} {command} {arguments}" for command, arguments, _ in steps]
    width = max(map(len, commands))
    return [
        f"{'next' if i == 0 else '':6}  {command:{width}}  {what}"
        for i, (command, (_, _, what)) in enumerate(zip(commands, steps, strict=True))
    ]


def quoted(path: Path) -> str:
    """As a shell takes it."""
    return shlex.quote(str(path))
