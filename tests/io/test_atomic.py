import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import environment

from gsplat_core.errors import ResourceError
from gsplat_core.io.atomic import atomic_file, atomic_path, sweep, write_bytes, write_text


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """A file with old content; afterwards no temporary file may be left."""
    path = tmp_path / "scene.compressed.ply"
    path.write_bytes(b"old")
    yield path
    assert [p.name for p in tmp_path.rglob(".tmp-*")] == []


def interrupted_write(path: Path, error: BaseException) -> None:
    with atomic_file(path) as file:
        file.write(b"half")
        file.flush()
        raise error


def test_new_content_replaces_the_old_at_the_end_of_the_block(target: Path) -> None:
    with atomic_file(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    write_text(target, "größer")
    assert target.read_text("utf-8") == "größer"


def test_an_exception_leaves_the_old_content(target: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted_write(target, KeyboardInterrupt())
    assert target.read_bytes() == b"old"


def test_temporary_path_is_in_the_same_folder_with_the_same_endings(target: Path) -> None:
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.endswith(".compressed.ply")
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"


def test_permissions_of_an_existing_file_are_kept_and_new_files_get_the_usual_ones(target: Path) -> None:
    target.chmod(0o640)
    write_bytes(target, b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    ordinary, ours = target.parent / "ordinary", target.parent / "ours"
    ordinary.write_bytes(b"")
    write_bytes(ours, b"")
    assert ours.stat().st_mode == ordinary.stat().st_mode


def test_links_are_replaced_and_what_they_lead_to_stays(target: Path) -> None:
    symbolic, dangling, hard = (target.parent / name for name in ("symbolic", "dangling", "hard"))
    symbolic.symlink_to(target)
    dangling.symlink_to(target.parent / "absent")
    hard.hardlink_to(target)
    for link in (symbolic, dangling, hard):
        write_bytes(link, b"new")
        assert not link.is_symlink()
        assert link.read_bytes() == b"new"
    assert target.read_bytes() == b"old"
    assert not (target.parent / "absent").exists()


def test_a_link_to_a_folder_is_replaced_by_a_file(target: Path) -> None:
    (target.parent / "folder").mkdir()
    link = target.parent / "link"
    link.symlink_to("folder", target_is_directory=True)
    write_bytes(link, b"new")
    assert link.read_bytes() == b"new"
    assert list((target.parent / "folder").iterdir()) == []


def test_links_on_the_way_to_a_name_are_followed(target: Path) -> None:
    (target.parent / "folder").mkdir()
    (target.parent / "link").symlink_to("folder", target_is_directory=True)
    write_bytes(target.parent / "link" / "a", b"new")
    assert (target.parent / "folder" / "a").read_bytes() == b"new"


def test_the_links_of_the_system_are_left_alone() -> None:
    with pytest.raises(ResourceError, match="not a regular file"):
        write_bytes("/dev/stdout", b"new")
    assert Path("/dev/stdout").is_symlink()


def test_a_full_disk_is_named_with_free_bytes(target: Path) -> None:
    with pytest.raises(ResourceError, match=r"No space left.*after 4 bytes, with [\d,]+ bytes free"):
        interrupted_write(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert target.read_bytes() == b"old"


def test_every_failing_system_call_leaves_the_old_content(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    for call in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(ResourceError, match=r"Input/output error.*unchanged"):
                write_bytes(target, b"new")
        assert target.read_bytes() == b"old"


def test_data_reaches_the_disk_before_the_name_does(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    write_bytes(target, b"new")
    assert calls == ["fsync", "replace", "fsync"]  # file, name, folder


def test_missing_folder_and_folder_as_target_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="does not exist; create it first"):
        write_bytes(tmp_path / "absent" / "file", b"")
    with pytest.raises(ResourceError, match="not a regular file"):
        write_bytes(tmp_path, b"")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_explained(target: Path) -> None:
    target.parent.chmod(0o500)
    try:
        with pytest.raises(ResourceError, match=r"Permission denied.*writable"):
            write_bytes(target, b"new")
        assert target.read_bytes() == b"old"
    finally:
        target.parent.chmod(0o700)


def test_permission_errors_are_explained_whoever_runs_this(target: Path) -> None:
    with pytest.raises(ResourceError, match=r"Permission denied.*writable"), atomic_path(target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    assert target.read_bytes() == b"old"


HOLD = """
import sys
from gsplat_core.io.atomic import atomic_folder, atomic_path
with atomic_path(sys.argv[1] + "/file.bin"), atomic_folder(sys.argv[1], "last"):
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_sweeping_removes_what_dead_processes_left_and_nothing_of_living_ones(tmp_path: Path) -> None:
    (tmp_path / ".tmp-notes").write_text("of the user")
    writer = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"writing\n"
    with atomic_path(tmp_path / "ours"):
        alive = set(tmp_path.iterdir())
        assert len(alive) == 4
        sweep(tmp_path)
        assert set(tmp_path.iterdir()) == alive
    writer.kill()
    writer.communicate()
    assert len(list(tmp_path.glob(".tmp-*"))) == 3
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tmp-notes", "ours"]


def test_the_first_write_into_a_folder_removes_what_dead_processes_left_there(tmp_path: Path) -> None:
    (tmp_path / ".tmp-gsplat-0123456789ab.ply").touch()
    (tmp_path / ".tmp-gsplat-0123456789ac").mkdir()
    (tmp_path / ".tmp-gsplat-0123456789ac" / "meta.json").touch()
    of_others = [tmp_path / ".tmp-0123456789ab.ply", tmp_path / ".tmp-gsplat-notes"]
    for path in of_others:
        path.touch()
    write_bytes(tmp_path / "scene.ply", b"new")
    assert sorted(tmp_path.iterdir()) == sorted([*of_others, tmp_path / "scene.ply"])


def test_sweeping_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / ".tmp-gsplat-0123456789ab").symlink_to(tmp_path / "precious")
    sweep(tmp_path)
    assert (tmp_path / "precious").is_dir()
    sweep(tmp_path / "absent")


def test_what_was_lent_may_be_written_atomically_itself(target: Path) -> None:
    with atomic_path(target) as temporary:
        write_bytes(temporary, b"new")
        assert target.read_bytes() == b"old"
        assert len(list(target.parent.iterdir())) == 2
    assert target.read_bytes() == b"new"
