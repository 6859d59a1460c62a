"""How much memory there is, from the files in which Linux keeps it and the limit of the process."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import pytest

from gsplat_core import memory as module

GIB = 1 << 30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that takes the place of the root; the machine has 64 GiB."""
    monkeypatch.setattr(module, "Path", lambda path: tmp_path / str(path).lstrip("/"))
    sizes = {"SC_PHYS_PAGES": 64 * GIB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    (tmp_path / "proc").mkdir()
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    return tmp_path


def memory(
    system: Path, limit: str | None, used: int = 0, available: int | None = 40
) -> tuple[int, int | None]:
    lines = "MemTotal: 1 kB\n" + ("" if available is None else f"MemAvailable:   {available << 20} kB\n")
    (system / "proc/meminfo").write_text(lines + "Cached: 5 kB\n")
    if limit is not None:
        (system / "sys/fs/cgroup/memory.max").write_text(limit + "\n")
        (system / "sys/fs/cgroup/memory.current").write_text(f"{used}\n")
    return module.memory_bytes()


def test_memory_without_a_container(system: Path) -> None:
    assert memory(system, limit=None) == (64 * GIB, 40 * GIB)
    assert memory(system, limit="max") == (64 * GIB, 40 * GIB)
    assert memory(system, limit=None, available=None) == (64 * GIB, None)


def test_a_container_has_what_its_limit_leaves(system: Path) -> None:
    assert memory(system, str(16 * GIB), 6 * GIB) == (16 * GIB, 10 * GIB)
    assert memory(system, str(60 * GIB), 6 * GIB) == (60 * GIB, 40 * GIB)  # the machine has no more
    assert memory(system, str(100 * GIB), 6 * GIB) == (64 * GIB, 40 * GIB)
    assert memory(system, str(16 * GIB), 17 * GIB) == (16 * GIB, 0)
    assert memory(system, str(16 * GIB), 6 * GIB, available=None) == (16 * GIB, 10 * GIB)


def test_a_limit_of_the_process_counts_what_it_has_mapped(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (3 * GIB, 8 * GIB))
    (system / "proc/self").mkdir()
    (system / "proc/self/statm").write_text(f"{2 * GIB // resource.getpagesize()} 5 5 5\n")
    assert memory(system, limit=None) == (64 * GIB, 1 * GIB)
    assert memory(system, limit=None, available=None) == (64 * GIB, 1 * GIB)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1 * GIB, 8 * GIB))
    assert memory(system, limit=None) == (64 * GIB, 0)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
    ],
)
def test_missing_memory_has_many_words(error: Exception) -> None:
    assert module.is_shortage(error)
    following = ImportError("partially initialized module")
    following.__context__ = error
    assert module.is_shortage(following)


def test_other_errors_are_no_missing_memory() -> None:
    for error in (
        OSError(errno.ENOENT, "No such file"),
        ImportError("no module named x"),
        KeyError("memory"),
    ):
        assert not module.is_shortage(error)


def test_memory_is_tight_where_little_of_the_limit_is_left(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (system / "proc/self").mkdir()
    (system / "proc/self/statm").write_text(f"{GIB // resource.getpagesize()} 5 5 5\n")
    for left, tight in ((255 << 20, True), (257 << 20, False)):
        monkeypatch.setattr(resource, "getrlimit", lambda which, left=left: (GIB + left, GIB + left))
        assert module.is_tight() is tight
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert not module.is_tight()
