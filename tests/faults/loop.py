"""One operation after the other with its first, second, third ... system call failing."""

from __future__ import annotations

import errno
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faults.injection import failing
from faults.operations import Operation, Outcome

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES)
KINDS = [(error, ever) for error in ERRORS for ever in (False, True)]


@dataclass
class Trial:
    """One operation with one failure.

    Args:
        call: the call that failed.
        outcome: how the operation ended.
        problems: what should have been otherwise.
    """

    operation: str
    nth: int
    error: str
    ever: bool
    call: str
    outcome: str
    problems: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def trials(operation: Operation, most: int | None = None) -> Iterator[Trial]:
    """Tries the operation with every call failing in every way, until one more failure would not be met.

    Args:
        most: at most about so many trials, spread over the calls, the ways taking turns.
    """
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve()
        before = root / "before"
        before.mkdir()
        operation.prepare(before)
        calls = _count(operation, root, before)
        if most is None:
            chosen = [(nth, kind) for nth in range(1, calls + 2) for kind in KINDS]
        else:
            step = max(1, -(-(calls + 1) // most))
            every = range(1, calls + 2, step)
            # Neighbouring calls meet different errors, and both "once" and "ever".
            chosen = [(nth, KINDS[(3 * i) % len(KINDS)]) for i, nth in enumerate(every)]
        for nth, (error, ever) in chosen:
            yield _trial(operation, root, before, nth, error, ever)


def _count(operation: Operation, root: Path, before: Path) -> int:
    with _copy(root, before) as folder:
        with failing(folder, 0) as failure:
            outcome = operation.attempt(folder)
        if outcome.code:
            raise AssertionError(f"{operation.name} fails without a fault: {outcome.message}")
        return failure.calls


class _copy:
    """A folder that is a copy of another within the block, always under the same name."""

    def __init__(self, root: Path, before: Path) -> None:
        self.before, self.folder = before, root / "copy"

    def __enter__(self) -> Path:
        shutil.copytree(self.before, self.folder, symlinks=True)
        return self.folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)


def _trial(operation: Operation, root: Path, before: Path, nth: int, error: int, ever: bool) -> Trial:
    with _copy(root, before) as folder:
        with failing(folder, nth, error, ever) as failure:
            outcome = operation.attempt(folder)
        problems = list(_problems(operation, folder, outcome, failure.first, ever))
        call = failure.first.replace(f"{folder}/", "")
        return Trial(operation.name, nth, errno.errorcode[error], ever, call, str(outcome), problems)


def _problems(operation: Operation, folder: Path, outcome: Outcome, call: str, ever: bool) -> Iterator[str]:
    """What should be otherwise after an attempt."""
    if outcome.code not in (0, 4):
        yield f"ended with exit code {outcome.code}: {outcome.message}"
    if outcome.code and not call:
        yield f"failed although no call did: {outcome.message}"
    if outcome.code == 4:
        if not any(name in outcome.message for name in (str(folder), folder.name)):
            yield f"does not name the file: {outcome.message}"
        if outcome.message.count(".") < 2:
            yield f"names no remedy: {outcome.message}"
    # What cannot be removed stays, but for that there has to be a reason; who writes there next removes it.
    left = [str(path.relative_to(folder)) for path in folder.rglob(".tmp*")]
    if left and not ever and not call.startswith(("rmdir ", "unlink ")):
        yield f"leaves {', '.join(left)}"
    try:
        operation.check(folder, outcome)
    except Exception:
        yield f"damage: {traceback.format_exc(limit=-3)}"
