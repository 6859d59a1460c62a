from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import textwrap

import pytest
import torch
from processes import environment

from gsplat_core.errors import DataError, ResourceError, UsageError
from trainers.crash import InternalError
from trainers.run_folder import RunFolder, _alone_in

HOLD = """
import sys
from trainers.run_folder import RunFolder
with RunFolder(sys.argv[1]).owned():
    print("owned", flush=True)
    sys.stdin.read()
"""


def test_a_second_owner_is_refused_and_told_who_has_it(tmp_path):
    with (
        RunFolder(tmp_path).owned(),
        pytest.raises(UsageError, match="in use by process"),
        RunFolder(tmp_path).owned(),
    ):
        pass
    with RunFolder(tmp_path).owned():
        pass


def test_a_killed_owner_leaves_no_lock(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLD), tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    assert holder.stdout.readline() == b"owned\n"
    with pytest.raises(UsageError, match=f"process {holder.pid}"), RunFolder(tmp_path).owned():
        pass
    holder.kill()
    holder.communicate()
    with RunFolder(tmp_path).owned():
        pass


def test_the_next_owner_sweeps_what_a_killed_run_left(tmp_path):
    run = RunFolder(tmp_path)
    kept = [run.checkpoints / f"step_00000001{ending}" for ending in (".json", ".safetensors")]
    kept += [run.test / "a.png", run.config]
    left = [
        tmp_path / ".tmp-gsplat-0123456789ab.ply",
        run.checkpoints / ".tmp-gsplat-0123456789ab.safetensors",
        run.checkpoints / "step_00000002.safetensors",
        run.test / "nested" / ".tmp-gsplat-0123456789ab.png",
        run.parts / ".tmp-gsplat-0123456789ab.json",
    ]
    for path in [*kept, *left]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with run.owned():
        assert [path for path in left if path.exists()] == []
        assert [path for path in kept if not path.exists()] == []


def test_results_that_cannot_be_removed_are_told(tmp_path, monkeypatch):
    def refused(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    run = RunFolder(tmp_path)
    run.checkpoints.mkdir()
    monkeypatch.setattr("shutil.rmtree", refused)
    with pytest.raises(ResourceError, match=r"checkpoints: cannot be removed: Permission denied\. Make"):
        run.remove_results()


def test_removing_results_touches_nothing_else(tmp_path):
    run = RunFolder(tmp_path)
    run.checkpoints.mkdir()
    (run.checkpoints / "step_00000001.json").touch()
    for file in (run.config, run.metrics, run.point_cloud, tmp_path / "notes.txt"):
        file.touch()
    run.remove_results()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_unexpected_failure_leaves_a_report(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(InternalError, match=r"crash_report\.txt"), run.crash_reports():
        raise IndexError("this and that")
    text = run.crash_report.read_text()
    assert "IndexError: this and that" in text
    assert "torch" in text


def test_errors_that_users_can_act_on_leave_none(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(DataError), run.crash_reports():
        raise DataError("file", "bad")
    with pytest.raises(KeyboardInterrupt), run.crash_reports():
        raise KeyboardInterrupt
    assert not run.crash_report.exists()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
    ids=repr,
)
def test_a_lack_of_memory_or_disk_is_no_defect(tmp_path, error):
    run = RunFolder(tmp_path)
    with pytest.raises(ResourceError), run.crash_reports():
        raise error
    assert not run.crash_report.exists()


@pytest.mark.parametrize("text", ["{", "[]", "3", "[" * 100_000])
def test_metrics_that_are_no_json_are_a_data_error(tmp_path, text):
    run = RunFolder(tmp_path)
    assert run.read_metrics() == {}
    run.metrics.write_text(text)
    with pytest.raises(DataError, match=r"metrics\.json"):
        run.read_metrics()


def test_one_process_at_a_time_is_in_a_folder(tmp_path):
    def is_free() -> bool:
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    assert is_free()
    with _alone_in(tmp_path):
        assert not is_free()
    assert is_free()
