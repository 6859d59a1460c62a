"""Files that appear whole or not at all.

The content goes to a temporary name in the same folder, is flushed to the disk, and takes the final name in
one rename. At every moment, power loss included, the final name holds the old content or the new one. A
process that is killed leaves at most a file or folder called `.tmp-gsplat-*` behind. The next process that
writes into the same folder removes it: it is locked while its process lives.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from gsplat_core.errors import ResourceError

_PREFIX = ".tmp-gsplat-"
_TEMPORARY = re.compile(re.escape(_PREFIX) + r"[0-9a-f]{12}(\.|$)")
# The temporary files that are being written in this process.
_lent: set[Path] = set()
# The folders that this process has written into, and swept before.
_swept: set[Path] = set()


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lends a temporary file for something that insists on opening files itself; it becomes `path` when the
    block ends.

    The temporary file is there, empty, and has the same endings as `path`. If the block raises, it is removed
    and what was at `path` stays. A link is replaced, not followed; permissions of an existing file are kept.
    A path that was lent already is lent as it is: it becomes what it shall when the outer block ends.

    Raises:
        ResourceError: the folder is missing or not writable, the disk is full, or the target is not a regular
        file.
    """
    target = _place(path)
    if target in _lent:
        yield target
        return
    endings = "".join(target.suffixes[-2:]) or (target.name if target.name.startswith(".") else "")
    try:
        mode = _existing_mode(target)
        with _temporary(target.parent, _new_file, endings) as temporary:
            _lent.add(temporary)
            try:
                yield temporary
                _flush(temporary)
                if mode is not None:
                    os.chmod(temporary, mode)
                os.replace(temporary, target)
            except OSError as error:
                written = temporary.stat().st_size if temporary.exists() else 0
                raise ResourceError(_explain(target, error, written)) from error
            finally:
                _lent.discard(temporary)
            with contextlib.suppress(OSError):  # the file is in place; some file systems cannot flush folders
                _flush(target.parent)
    except OSError as error:
        raise ResourceError(_explain(target, error, 0)) from error


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Lends a binary file for writing that becomes `path` when the block ends; see `atomic_path`."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
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
    made = not target.exists()
    try:
        target.mkdir(exist_ok=True)
        with temporary_folder(target) as temporary:
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
        if made:
            with contextlib.suppress(OSError):
                target.rmdir()  # stays if anything is in it


@contextlib.contextmanager
def temporary_folder(within: Path) -> Iterator[Path]:
    """Lends a new folder inside another. When the block ends it is removed with all that is in it, unless it
    has another name by then.

    Raises:
        OSError: it cannot be made.
    """
    with _temporary(within, _new_folder) as folder:
        yield folder


def sweep(folder: str | os.PathLike[str]) -> None:
    """Removes the temporary files that dead processes have left in a folder, and nothing else.

    Those of living ones are locked. Where there are no locks, or nothing may be removed, all stays.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.match(entry.name) and not entry.is_symlink():
                with contextlib.suppress(OSError):
                    _remove_if_orphaned(Path(entry.path))


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


@contextlib.contextmanager
def _temporary(folder: Path, new: Callable[[Path], int], endings: str = "") -> Iterator[Path]:
    """A new temporary file or folder, locked by this process for as long as the block lasts and removed
    afterwards, if it is still there."""
    if folder not in _swept and not _TEMPORARY.match(folder.name):
        _swept.add(folder)
        sweep(folder)
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(6)}{endings}"
        descriptor = new(path)
        swept = False
        try:
            _lock(descriptor)
        except BlockingIOError:
            swept = True
        except OSError:
            pass  # a file system without locks, which is not swept either
        if not swept and path.exists():
            break
        os.close(descriptor)  # a sweep came before the lock
    try:
        yield path
    finally:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        os.close(descriptor)


def _new_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def _new_folder(path: Path) -> int:
    path.mkdir()
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        path.rmdir()
        raise


def _lock(descriptor: int) -> None:
    """Takes the lock on an open file or folder, which the system gives back when the process ends.

    Raises:
        OSError: another process has it, or this file system has no locks.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_if_orphaned(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        _lock(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


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
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(target: Path, error: OSError, written: int) -> str:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = (
            f"It failed after {written:,} bytes, with {_free(target.parent)} bytes free. "
            "Free some space or write to another disk."
        )
    elif not target.parent.is_dir():
        remedy = f"The folder {target.parent} does not exist; create it first."
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"Make {target.parent} writable or choose another place."
    else:
        remedy = "Choose another place."
    return f"{target}: cannot be written: {reason}. {remedy} What was there before is unchanged."


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free:,}"
    except OSError:
        return "an unknown number of"
