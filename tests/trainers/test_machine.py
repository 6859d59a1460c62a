"""What is told of the machine, from the files in which Linux keeps it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainers import machine


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that takes the place of the root."""
    monkeypatch.setattr(machine, "Path", lambda path: tmp_path / str(path).lstrip("/"))
    (tmp_path / "proc").mkdir()
    return tmp_path


def test_the_processor_has_the_name_its_vendor_gave(system: Path) -> None:
    (system / "proc/cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Other\n"
    )
    assert machine.cpu_name() == "Some CPU @ 2 GHz"
    (system / "proc/cpuinfo").unlink()
    assert machine.cpu_name()


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert machine.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert machine.cores() == 7
