"""What is shown while a command works for longer than a moment.

On a terminal what it does and how far it is; where output goes into a file, a line now and then. All of it
goes to standard error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gsplat_core.shown import shown
from trainers.messages import complain

T = TypeVar("T")

PLAIN_SECONDS = 5.0


@contextmanager
def busy(what: str) -> Iterator[None]:
    """While the block runs, a terminal says what it does, such as "reading the scene"."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(shown(f"{what} ..."))):
        yield


def counted(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """The items, one by one, and how many of them are done.

    Args:
        what: is done with them, such as "rendering".
        total: how many there are.
    """
    return (_on_terminal if sys.stderr.isatty() else _in_lines)(items, what, total)


def _on_terminal(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, total, console=Console(stderr=True), transient=True)


def _in_lines(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    told = time.monotonic()
    for number, item in enumerate(items):
        yield item
        now = time.monotonic()
        if now - told >= PLAIN_SECONDS and number + 1 < total:
            complain(f"{what}: {number + 1:,} of {total:,}")
            told = now


@contextmanager
def staged() -> Iterator[Callable[[str, int, int], None]]:
    """Within the block, a function shows how far something in stages is: what is done, and how much of how
    much (0: nobody knows)."""
    with _stages_on_terminal() if sys.stderr.isatty() else _stages_in_lines() as told:
        yield told


@contextmanager
def _stages_on_terminal() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for task in tasks.values():
                    progress.update(task, visible=False)
                tasks[what] = progress.add_task(what)
            progress.update(tasks[what], completed=done, total=total or None)

        yield told


@contextmanager
def _stages_in_lines() -> Iterator[Callable[[str, int, int], None]]:
    latest, when = "", 0.0

    def told(what: str, done: int, total: int) -> None:
        nonlocal latest, when
        now = time.monotonic()
        if what != latest or now - when >= PLAIN_SECONDS:
            complain(f"{what}: {done:,} of {total:,}" if total else what)
            latest, when = what, now

    yield told
