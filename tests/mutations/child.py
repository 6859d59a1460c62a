"""Work in a fork of this process, which has PyTorch loaded and nothing of the product: that saves seconds."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paths import ROOT

from mutations.tree import Tree

MEMORY = 6 << 30  # bytes beyond those of the parent; a mistake may ask for any amount
PATIENCE = 15  # so many times the processor time may pass on a busy machine before a child counts as waiting


@dataclass(frozen=True)
class Outcome:
    """What a child told at its end, or what ended it."""

    value: Any = None
    ended_by: str | None = None


class Child:
    """`work()` in a fork of this process, with the modules and data of `tree`; it returns what JSON can hold.

    Args:
        seconds: processor time it may take.
    """

    def __init__(self, tree: Tree, work: Callable[[], Any], seconds: float, log: Path) -> None:
        self._result = tree.folder.with_suffix(".result")
        self._result.unlink(missing_ok=True)
        self._seconds = seconds
        self._begin = time.monotonic()
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                self._enter(tree, log)
                self._result.write_text(json.dumps(work()))
                status = 0
            except BaseException as error:  # the child ends here whatever happens
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(status)

    def _enter(self, tree: Tree, log: Path) -> None:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        limit = int(self._seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        os.chdir(tree.folder)
        os.environ["PYTHONPATH"] = str(tree.folder)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        sys.dont_write_bytecode = True
        ours = (ROOT, ROOT / "tests", ROOT / "csrc")
        others = [path for path in sys.path if path and Path(path).resolve() not in ours]
        sys.path[:] = [str(tree.folder), *others]
        for name in ("paths", "formulas", "build_units"):  # they know where the checkout is
            sys.modules.pop(name, None)

    def outcome(self) -> Outcome | None:
        """None as long as the child works."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        late = time.monotonic() - self._begin > PATIENCE * self._seconds
        if pid == 0 and not late:
            return None
        self._end_descendants()
        if pid == 0:
            os.waitpid(self._pid, 0)
            return Outcome(ended_by="waits for ever")
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return Outcome(
                ended_by="runs for ever" if number == signal.SIGXCPU else signal.Signals(number).name
            )
        if os.WEXITSTATUS(status) or not self._result.exists():
            return Outcome(ended_by=f"the process ended with status {os.WEXITSTATUS(status)}")
        return Outcome(json.loads(self._result.read_text()))

    def _end_descendants(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)

    def wait(self) -> Outcome:
        while (outcome := self.outcome()) is None:
            time.sleep(0.02)
        return outcome
