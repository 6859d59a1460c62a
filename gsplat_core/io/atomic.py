"""Files that appear whole or not at all.

The content goes to a temporary name in the same folder, is flushed to the disk, and takes the final name in
one rename. At every moment, power loss included, the final name holds the old content or the new one. A
process that is killed leaves at most a file called `.tmp-*` behind.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gsplat_core.errors import ResourceError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lends a temporary path for something that insists on opening files itself; renames it when the block
    ends.

    The temporary path has the same endings as `path`. If the block raises, the temporary file is removed and
    what was at `path` stays. A link is replaced, not followed; permissions of an existing file are kept.

    Raises:
        ResourceError: the folder is missing or not writable, the disk is full, or the target is not a regular
        file.
    """
    target = _place(path)
    endings = "".join(target.suffixes[-2:]) or (target.name if target.name.startswith(".") else "")
    temporary = target.with_name(f".tmp-{secrets.token_hex(6)}{endings}")
    try:
        mode = _existing_mode(target)
        yield temporary
        _flush(temporary)
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
        with contextlib.suppress(OSError):  # the file is in place; some file systems cannot flush folders
            _flush(target.parent)
    except OSError as error:
        written = temporary.stat().st_size if temporary.exists() else 0
        raise ResourceError(_explain(target, error, written)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Lends a binary file for writing that becomes `path` when the block ends; see `atomic_path`."""
    with atomic_path(path) as temporary, open(temporary, "xb") as file:
        yield file


@contextlib.contextmanager
def atomic_folder(folder: str | os.PathLike[str], last: str) -> Iterator[Path]:
    """Lends an empty folder whose files move into `folder` when the block ends; `folder` is made if need be.

    Several files cannot appear in one step. So the file `last`, without which readers make nothing of the
    others, is removed first and put in place last: a process that dies between leaves no mixture that looks
    whole.

    Raises:
        ResourceError: as for `atomic_path`.
    """
    target = Path(os.path.realpath(folder))
    temporary = target / f".tmp-{secrets.token_hex(6)}"
    made = not target.exists()
    try:
        target.mkdir(exist_ok=True)
        temporary.mkdir()
        yield temporary
        names = sorted(path.name for path in temporary.iterdir() if path.name != last)
        for name in [*names, last]:
            _flush(temporary / name)
        (target / last).unlink(missing_ok=True)
        for name in [*names, last]:
            os.replace(temporary / name, target / name)
        with contextlib.suppress(OSError):
            _flush(target)
    except OSError as error:
        raise ResourceError(_explain(target, error, 0)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):
                target.rmdir()  # stays if anything is in it


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a whole file atomically; see `atomic_path` for the errors."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Writes a whole UTF-8 text file atomically; see `atomic_path` for the errors.

    Names of files need not be UTF-8; what of them is not is written as a backslash and a number.
    """
    write_bytes(path, content.encode(errors="backslashreplace"))


def _place(path: str | os.PathLike[str]) -> Path:
    """Where the name itself is: links are followed on the way to it, but not at its end."""
    folder, name = os.path.split(os.fspath(path))
    if name in ("", ".", ".."):
        return Path(os.path.realpath(path))
    return Path(os.path.realpath(folder)) / name


def _existing_mode(target: Path) -> int | None:
    try:
        status = target.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode) and not _is_of_system(target):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL, "not a regular file")
    return stat.S_IMODE(status.st_mode)


def _is_of_system(target: Path) -> bool:
    """Such as /dev/stdout, which is a link that nobody wants replaced."""
    return target.parent == Path("/dev") or target.is_relative_to("/proc")


def _flush(path: Path) -> None:
    """Asks the system to put a file, or the entries of a folder, on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders, and its rename needs no such flush
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(target: Path, error: OSError, written: int) -> str:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(target.parent).free
        remedy = (
            f"It failed after {written:,} bytes, with {free:,} bytes free. "
            "Free some space or write to another disk."
        )
    elif not target.parent.is_dir():
        remedy = f"The folder {target.parent} does not exist; create it first."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"Make {target.parent} writable or choose another place."
    else:
        remedy = "Choose another place."
    return f"{target}: cannot be written: {reason}. {remedy} What was there before is unchanged."
