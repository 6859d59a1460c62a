"""How far the run is: a live line on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import errno
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from trainers.messages import tell
from trainers.time_left import TimeLeft

PLAIN_SECONDS = 5.0


class TrainingProgress:
    """Shows step, loss, PSNR, Gaussians, speed of the last steps, time left and memory.

    `update` may be called as often as one likes; it keeps numbers from between its calls for itself.
    """

    def __init__(self, steps: int, console: Console, left: TimeLeft | None = None) -> None:
        self._steps = steps
        self._console = console
        self._left = left or TimeLeft(steps)
        self._live = console.is_terminal
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            TextColumn("{task.fields[left]} left"),
            console=console,
            disable=not self._live,
            expand=True,
        )
        self._task = self._bar.add_task("", total=steps, numbers="", left="?")

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _terminal_may_be_gone():
            self._bar.stop()

    def expect(self, steps: int) -> None:
        """The run has so many steps, which may be others than it seemed before."""
        self._steps = steps
        self._left.expect(steps)
        self._bar.update(self._task, total=steps)

    def update(self, step: int, loss: float, psnr: float, num_gaussians: int) -> None:
        now = time.monotonic()
        self._left.update(now, step, num_gaussians)
        line = not self._live and (now - self._last_line >= PLAIN_SECONDS or step == self._steps)
        if not (self._live or line):
            return
        left = duration(self._left.seconds())
        numbers = (
            f"loss {loss:.4f}  PSNR {psnr:.2f}  {num_gaussians:,} Gaussians  "
            f"{self._left.per_second:.1f} it/s  {peak_memory_bytes() / 2**30:.2f} GiB"
        )
        if self._live:
            with _terminal_may_be_gone():
                self._bar.update(self._task, completed=step, numbers=numbers, left=left)
        else:
            self.note(f"step {step:,}/{self._steps:,}  {numbers}  {left} left")
            self._last_line = now

    def note(self, text: str) -> None:
        with _terminal_may_be_gone():
            tell(self._console, text)


@contextmanager
def _terminal_may_be_gone() -> Iterator[None]:
    """A window that was closed shows nothing more: no reason to lose a run, which SIGHUP ends in order."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise


def duration(seconds: float) -> str:
    """`75.3` -> `1:15`, `3700` -> `1:01:40`."""
    if not 0 <= seconds < 1e8:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def peak_memory_bytes() -> int:
    """The largest resident size that this process has had."""
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
