"""Ctrl-C, SIGTERM and SIGHUP as a polite request: the loop finishes its step, saves and leaves.

Outside the loop, where there is nothing to save, SIGTERM and SIGHUP end a command as Ctrl-C does.
"""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


class StopRequest:
    """While active, the first such signal sets `.requested`; a second one raises KeyboardInterrupt."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        self._previous = _handled(self.SIGNALS, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _restore(self._previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        _leave_terminal_that_is_gone()
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


# How the latest command was interrupted, if it was.
_interruption: str | None = None


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within the block, SIGTERM and SIGHUP raise KeyboardInterrupt, as SIGINT does anyway."""
    global _interruption
    _interruption = None

    def end(number: int, frame: FrameType | None) -> None:
        global _interruption
        _interruption = "interrupted"
        _leave_terminal_that_is_gone()
        if number != signal.SIGINT:
            _interruption += f" by {signal.Signals(number).name}"
        raise KeyboardInterrupt(_interruption)

    previous = _handled(StopRequest.SIGNALS, end)
    try:
        yield
    finally:
        _restore(previous)


def interruption() -> str | None:
    """How a signal has interrupted the latest command, None if none has.

    The exception that ends it need not be KeyboardInterrupt: libraries that are being loaded turn that into
    errors of their own, or leave something out and fail later.
    """
    return _interruption


def settle_interruption() -> None:
    """Lets Python know that the interrupt was handled, so that it exits with the code it is told.

    It notes one that passes through `exec` or `eval` of a text, as it often does while modules are loaded, as
    one that nobody handled, and `python -m` then ends by SIGINT. The next text makes it forget.
    """
    exec("")


def _leave_terminal_that_is_gone() -> None:
    """What is written to a terminal whose window was closed fails; from here on it goes nowhere instead."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def _handled(numbers: tuple[signal.Signals, ...], handler: Handler) -> dict[signal.Signals, Any]:
    """Sets the handler of signals; returns those there were. One that is ignored stays so (`nohup`)."""
    # Python allows handlers in the main thread only; elsewhere the caller decides about signals.
    if threading.current_thread() is not threading.main_thread():
        return {}
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, handler) for number in heard}


def _restore(previous: dict[signal.Signals, Any]) -> None:
    for number, handler in previous.items():
        signal.signal(number, handler)
