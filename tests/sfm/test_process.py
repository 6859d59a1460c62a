"""A stage in a process of its own: what comes back, and whatever ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sfm.conftest import FAKE, Journal

from gsplat_core.errors import DataError, ResourceError
from gsplat_core.sfm.process import run_stage


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "reconstruction.log"


def run(log: Path, told: object = lambda done, total: None, stage: str = "matches") -> object:
    return run_stage(stage, log, told, FAKE, database=log.parent / "database.db", cameras=[["a"], ["b"]])  # type: ignore[arg-type]


def test_what_it_returns_and_how_far_it_is(journal: Journal, log: Path) -> None:
    told: list[tuple[int, int]] = []
    assert run(log, lambda *far: told.append(far)) is None
    assert told == [(1, 2)]
    request = journal.requests()[0]
    assert request["stage"] == "matches"
    assert request["database"] == str(log.parent / "database.db")
    run(log, stage="features")
    assert set(run(log, stage="examine")) == {"a", "b"}  # type: ignore[call-overload]
    assert log.read_text().startswith("== matching features\n== finding features\n")


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (
            "abort",
            DataError,
            r"COLMAP ended by SIGABRT while matching features: Check failed: x > 0\. .*goes on",
        ),
        ("exception", DataError, r"with code 1 while matching features: ValueError: something odd"),
        ("killed", ResourceError, r"matching features: .*want of memory\. Use --quality low"),
        ("full", ResourceError, r"the disk is full \(matching features\)"),
    ],
)
def test_what_ends_it_is_told_with_the_stage_and_a_remedy(
    journal: Journal, log: Path, how: str, error: type[Exception], message: str
) -> None:
    journal.tell(FAILURE=f"matches:{how}")
    with pytest.raises(error, match=message):
        run(log)


def test_what_an_earlier_stage_has_printed_is_not_taken_for_this_one(journal: Journal, log: Path) -> None:
    log.write_text("database or disk is full\n")
    journal.tell(FAILURE="matches:abort")
    with pytest.raises(DataError, match="SIGABRT"):
        run(log)


def test_ctrl_c_ends_the_process_too(journal: Journal, log: Path) -> None:
    journal.tell(FAILURE="matches:hang")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(log, interrupt)


def test_a_worker_ends_with_the_process_that_started_it() -> None:
    waiting = "import threading, time; from gsplat_core.sfm.worker import _end_with_parent; "
    waiting += "threading.Thread(target=_end_with_parent, daemon=True).start(); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", waiting], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait() == 1
