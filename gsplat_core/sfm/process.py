"""Runs one stage in a process of its own: COLMAP may crash, or be ended by the system for its memory.

What it prints is appended to a log file. Whatever ends it becomes an error that names the stage and the log.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gsplat_core.errors import DataError, GsplatError, ResourceError

WORKER = (sys.executable, "-m", "gsplat_core.sfm.worker")
Told = Callable[[int, int], None]
"""Is told how much is done, of how much; 0 of 0 where nobody knows."""

STAGES = {
    "features": "finding features",
    "matches": "matching features",
    "poses": "placing photographs",
    "examine": "looking at the result",
}
"""What is said of a stage."""
_TAIL = 20_000
_SHORT_OF_MEMORY = "Use --quality low or a smaller --max-image-size; what is done stays done."


def run_stage(stage: str, log: Path, told: Told, worker: Sequence[str] = WORKER, **arguments: Any) -> Any:
    """What the stage returns.

    Args:
        stage: a name in `STAGES`.
        log: a file to which is appended.
        worker: the command of the process.
        arguments: of the stage; paths and what JSON can say.

    Raises:
        ResourceError: memory or disk space ran out.
        DataError: it failed otherwise.
    """
    request = json.dumps({"stage": stage, **arguments}, default=os.fspath)
    # Python finds this package as it was found here; Ctrl-C is for this process, which ends the other.
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)), "PYTHONUNBUFFERED": "1"}
    answers: dict[str, Any] = {}
    with log.open("ab") as errors:
        errors.write(f"== {STAGES[stage]}\n".encode())
        errors.flush()
        start = errors.tell()
        with subprocess.Popen(
            worker,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
            start_new_session=True,
            text=True,
            encoding="utf-8",
        ) as process:
            try:
                answers = _followed(process, request, told)
            finally:
                if process.poll() is None and "result" not in answers:
                    process.kill()
    if process.returncode == 0 and "result" in answers:
        return answers["result"]
    raise _failure(stage, process.returncode, log, start)


def _followed(process: subprocess.Popen[str], request: str, told: Told) -> dict[str, Any]:
    """The last answer of the process."""
    assert process.stdin is not None
    assert process.stdout is not None
    answer: dict[str, Any] = {}
    with suppress(BrokenPipeError):  # it has ended already: its code tells why
        process.stdin.write(request + "\n")
        process.stdin.flush()
    for line in process.stdout:
        answer = json.loads(line)
        if "result" in answer:
            break
        told(answer["done"], answer["total"])
    process.wait()  # it would end at once if its standard input were closed now
    return answer


def _failure(stage: str, code: int, log: Path, start: int) -> GsplatError:
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - _TAIL))
        text = file.read().decode(errors="replace")
    what = STAGES[stage]
    last = _last_words(text)
    if "disk is full" in text or "No space left" in text:
        return ResourceError(
            f"{log.parent}: the disk is full ({what}). Free some space; what is done stays done."
        )
    if code == -signal.SIGKILL or "bad_alloc" in text or "MemoryError" in text:
        return ResourceError(f"{what}: the process was ended for want of memory. {_SHORT_OF_MEMORY}")
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
    return DataError(
        log,
        f"COLMAP ended {how} while {what}{': ' + last if last else ''}",
        remedy="The file has all that it said. The same command goes on with this stage; another --matcher, "
        "--mapper or --quality may get past it.",
    )


def _last_words(text: str) -> str:
    """The last line that is an error of COLMAP or of Python."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line[:1] in "EF" and line[1:9].isdigit()]
    if errors:
        return errors[-1].partition("] ")[2].rstrip(".")[:300]
    return lines[-1].rstrip(".")[:300] if lines else ""
