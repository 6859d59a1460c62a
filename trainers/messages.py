"""What commands tell people: the one place from which texts with names of files in them reach a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gsplat_core.shown import shown

if TYPE_CHECKING:
    from rich.console import Console


def say(*lines: str) -> None:
    """Lines on standard output."""
    for line in lines:
        print(shown(line))
    sys.stdout.flush()


def warn(text: str) -> None:
    """One line on standard error."""
    complain(f"warning: {text}")


def complain(*lines: str) -> None:
    """Lines on standard error, the first after the program's name."""
    for number, line in enumerate(lines):
        print(shown(line if number else f"gsplat-core: {line}"), file=sys.stderr)


def tell(console: Console, *lines: str) -> None:
    """Lines where `rich` writes, too, which would take what is in brackets for its own marks."""
    for line in lines:
        console.print(shown(line), markup=False, emoji=False, highlight=False, soft_wrap=True)
