"""Outputs take the place of links and are never written through them.

A folder that came from somebody else may hold links, symbolic or hard, where a program is going to write:
whatever followed them would change files that nobody named. What `atomic` renames into place replaces a link
by itself; here is what else needs care: folders on the way, files that are appended to, and removing.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gsplat_core.errors import ResourceError
from gsplat_core.io.atomic import temporary_folder, write_bytes


def make_folder(folder: Path, below: Path | None = None) -> None:
    """Makes a folder and those on the way to it, each in place of a link if there is one.

    Args:
        folder: inside `below`, or `below` itself.
        below: the folder that was named by the user, who may have named a link; None: `folder` itself.

    Raises:
        ResourceError: a folder cannot be made.
    """
    below = folder if below is None else below
    try:
        below.mkdir(parents=True, exist_ok=True)
        place = below
        for part in Path(os.path.normpath(folder)).relative_to(os.path.normpath(below)).parts:
            place = place / part
            if place.is_symlink():
                place.unlink()
            place.mkdir(exist_ok=True)
    except OSError as error:
        raise ResourceError(
            f"{folder}: cannot be created: {error.strerror or error}. Choose another place, or remove what "
            "is there."
        ) from error


@contextmanager
def folder_instead_of_link(folder: Path) -> Iterator[Path]:
    """Lends a folder, made if need be. For a link this is a new one, which takes its place once the block has
    ended well: until then, what the link leads to can be read by the old name.

    Raises:
        ResourceError: the folder cannot be made, or not be put in place.
    """
    if not folder.is_symlink():
        make_folder(folder)
        yield folder
        return
    try:
        with temporary_folder(folder.parent) as temporary:
            yield temporary
            folder.unlink()
            temporary.rename(folder)
    except OSError as error:
        raise ResourceError(
            f"{folder}: cannot be replaced: {error.strerror}. Remove this link, or choose another place."
        ) from error


def unshare(path: Path, size: int) -> None:
    """Makes a file that is to be changed in place one that has no other name: of a link, symbolic or hard, a
    copy of the first `size` bytes takes the place. No file, or a file of one name: nothing happens.

    Raises:
        ResourceError: the copy cannot be made.
    """
    try:
        status = path.lstat()
    except OSError:
        return
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return
    content = b""
    with suppress(OSError):
        if size and path.is_file():
            with open(path, "rb") as file:
                content = file.read(min(size, path.stat().st_size))
    write_bytes(path, content)


def remove(path: Path) -> None:
    """Removes a file, a link or a folder with all that is in it, but nothing that links lead to.

    Raises:
        ResourceError: something of it cannot be removed.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        inside = error.filename and Path(os.fsdecode(error.filename)).name
        what = path if inside in (None, path.name) else f"{path} ({inside} in it)"
        raise ResourceError(
            f"{what}: cannot be removed: {error.strerror}. Make its folder writable, or choose another."
        ) from error
