"""Outputs take the place of links: folders, files that are changed in place, and removing."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from gsplat_core.errors import ResourceError
from gsplat_core.io.links import folder_instead_of_link, make_folder, remove, unshare


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with a file, which nothing may change."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_bytes(b"theirs")
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def assert_untouched(outside: Path) -> None:
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"file": b"theirs"}


@pytest.mark.parametrize("linked", ["a", "a/b", "a/b/c"])
def test_folders_on_the_way_are_made_in_place_of_links(own: Path, outside: Path, linked: str) -> None:
    (own / linked).parent.mkdir(parents=True, exist_ok=True)
    (own / linked).symlink_to(outside)
    make_folder(own / "a/b/c", below=own)
    (own / "a/b/c/file").write_bytes(b"ours")
    assert not (own / linked).is_symlink()
    assert_untouched(outside)


def test_folders_and_dangling_links_that_are_no_harm(own: Path, outside: Path) -> None:
    (own / "a").mkdir()
    (own / "a" / "kept").touch()
    (own / "b").symlink_to(own / "absent")
    make_folder(own / "a", below=own)
    make_folder(own / "b" / "c", below=own)
    make_folder(own / "a" / ".." / "d", below=own)
    assert (own / "a" / "kept").exists()
    assert (own / "b" / "c").is_dir()
    assert (own / "d").is_dir()
    assert not (own / "absent").exists()


def test_the_folder_that_was_named_may_be_a_link(own: Path, outside: Path) -> None:
    (own / "named").symlink_to(outside)
    make_folder(own / "named" / "a", below=own / "named")
    assert (outside / "a").is_dir()


def test_a_file_where_a_folder_should_be_is_told(own: Path) -> None:
    (own / "a").touch()
    with pytest.raises(ResourceError, match=r"a/b: cannot be created"):
        make_folder(own / "a" / "b", below=own)


def test_a_linked_folder_is_replaced_once_the_new_one_is_complete(own: Path, outside: Path) -> None:
    link = own / "checkpoints"
    link.symlink_to(outside)
    with folder_instead_of_link(link) as place:
        (place / "file").write_bytes(b"ours")
        assert (link / "file").read_bytes() == b"theirs"
    assert not link.is_symlink()
    assert (link / "file").read_bytes() == b"ours"
    assert_untouched(outside)
    assert os.listdir(own) == ["checkpoints"]


def test_a_linked_folder_stays_if_the_new_one_is_not_completed(own: Path, outside: Path) -> None:
    link = own / "checkpoints"
    link.symlink_to(outside)
    with suppress(KeyboardInterrupt), folder_instead_of_link(link) as place:
        (place / "file").touch()
        raise KeyboardInterrupt
    assert (link / "file").read_bytes() == b"theirs"
    assert os.listdir(own) == ["checkpoints"]


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
@pytest.mark.parametrize("size", [0, 3, 99])
def test_of_a_file_with_other_names_a_copy_is_changed(own: Path, outside: Path, kind: str, size: int) -> None:
    path = own / "history.jsonl"
    (path.symlink_to if kind == "symbolic" else path.hardlink_to)(outside / "file")
    unshare(path, size)
    assert path.read_bytes() == b"theirs"[:size]
    with open(path, "ab") as file:
        file.write(b"ours")
    assert_untouched(outside)


def test_a_file_of_one_name_is_left_as_it_is(own: Path) -> None:
    path = own / "history.jsonl"
    unshare(path, 5)
    assert not path.exists()
    path.write_bytes(b"ours")
    before = path.stat()
    unshare(path, 2)
    assert path.read_bytes() == b"ours"
    assert path.stat().st_ino == before.st_ino


@pytest.mark.parametrize("leads_to", ["absent", "/dev/zero", "."])
def test_links_that_lead_to_no_file_become_empty_files(own: Path, leads_to: str) -> None:
    path = own / "history.jsonl"
    path.symlink_to(leads_to)
    unshare(path, 100)
    assert not path.is_symlink()
    assert path.read_bytes() == b""


def test_what_cannot_be_removed_is_named_with_its_folder(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "folder" / "sub").mkdir(parents=True)

    def refused(path: Path) -> None:  # as `shutil.rmtree` has it, of what is inside: a bare name
        raise PermissionError(errno.EACCES, "Permission denied", "a.png")

    monkeypatch.setattr("shutil.rmtree", refused)
    message = rf"{own}/folder \(a\.png in it\): cannot be removed: Permission denied\. Make"
    with pytest.raises(ResourceError, match=message):
        remove(own / "folder")
    assert (own / "folder" / "sub").is_dir()


def test_removing_removes_links_and_not_what_they_lead_to(own: Path, outside: Path) -> None:
    (own / "folder" / "sub").mkdir(parents=True)
    (own / "folder" / "sub" / "link").symlink_to(outside)
    (own / "folder" / "file").hardlink_to(outside / "file")
    (own / "link").symlink_to(outside)
    (own / "to_file").symlink_to(outside / "file")
    (own / "dangling").symlink_to("absent")
    for path in [*own.iterdir(), own / "absent"]:
        remove(path)
    assert list(own.iterdir()) == []
    assert_untouched(outside)
