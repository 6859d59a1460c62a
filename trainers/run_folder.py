"""The folder of one training run: its files, who owns it, and a report when the program fails in it."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from gsplat_core.errors import DataError, GsplatError, ResourceError, UsageError
from gsplat_core.io.atomic import sweep
from gsplat_core.io.links import remove, unshare
from gsplat_core.ranges import Range
from gsplat_core.strict_json import parse_json
from trainers.checkpoint import remove_orphans
from trainers.crash import told
from trainers.fields import LONGEST, from_json
from trainers.paths import is_run

_LONGEST_OWNER = 200


@dataclass(frozen=True)
class TrainingCosts:
    """Entries of metrics.json that only training knows and a later evaluation keeps; None where unknown."""

    steps: Annotated[int, Range(0)] | None = None
    train_seconds: Annotated[float, Range(0, LONGEST)] | None = None
    train_cpu_seconds: Annotated[float, Range(0, LONGEST)] | None = None
    rollbacks: Annotated[int, Range(0)] | None = None
    dropped: Annotated[int, Range(0)] | None = None
    """Gaussians that could not be rendered at the end."""
    peak_memory_bytes: Annotated[int, Range(0)] | None = None
    peak_device_memory_bytes: Annotated[int, Range(0)] | None = None

    @classmethod
    def names(cls) -> list[str]:
        return [field.name for field in fields(cls)]


class RunFolder:
    """Paths inside a run folder. Nothing is created before it is written to."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.json"
        self.history = self.path / "history.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.store = self.path / "store"
        self.point_cloud = self.path / "point_cloud.ply"
        self.compressed = self.path / "point_cloud.gsz"
        self.compression = self.path / "compression.json"
        self.derived = self.path / "derived.json"
        self.rest_mesh = self.path / "rest_mesh.ply"
        self.parts = self.path / "parts"
        self.sparse = self.path / "sparse"
        self.test = self.path / "test"
        self.report = self.path / "report.html"
        self.crash_report = self.path / "crash_report.txt"

    @property
    def exists(self) -> bool:
        return is_run(self.path)

    @property
    def result(self) -> Path | None:
        """The scene that the run has made, None before it is finished."""
        return next((file for file in (self.point_cloud, self.compressed) if file.exists()), None)

    def remove_results(self) -> None:
        """Removes what an earlier run left here, and nothing else.

        Raises:
            ResourceError: something cannot be removed.
        """
        # Its configuration last: until then, what is left is known as a run.
        for path in (
            self.checkpoints,
            self.store,
            self.parts,
            self.sparse,
            self.test,
            self.metrics,
            self.history,
            self.point_cloud,
            self.compressed,
            self.compression,
            self.derived,
            self.rest_mesh,
            self.report,
            self.crash_report,
            self.config,
        ):
            remove(path)

    def sweep(self) -> None:
        """Removes what runs that were killed have left unfinished here; those that live keep theirs.

        Called by the owner of the folder. What cannot be removed stays.
        """
        for folder in (self.path, self.checkpoints, self.store, self.parts):
            if folder == self.path or not folder.is_symlink():
                sweep(folder)
        if not self.test.is_symlink():
            for below, _, _ in os.walk(self.test):
                sweep(below)
        if not self.checkpoints.is_symlink():
            with suppress(OSError):
                remove_orphans(self.checkpoints)

    def read_derived(self) -> dict[str, Any]:
        """`derived.json`: what was done to another run's scene to make this one's; {} for runs that were
        trained.

        Raises:
            DataError: it is damaged.
        """
        try:
            return _object(self.derived)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise DataError(self.derived, f"cannot be read: {error}", remedy="Remove it.") from error

    def read_metrics(self) -> dict[str, Any]:
        """`metrics.json`, or {} when the run has none yet."""
        try:
            metrics = _object(self.metrics)
            known = {name: metrics[name] for name in TrainingCosts.names() if name in metrics}
            from_json(TrainingCosts, known)
            return metrics
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise DataError(self.metrics, f"cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise DataError(
                self.metrics, f"not the metrics of a run: {error}", remedy="Remove it; eval writes it anew."
            ) from error

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Keeps other runs out of the folder while the block runs.

        The operating system holds the lock, so a killed process leaves none behind; the text in the
        file only tells others who it is.

        Raises:
            UsageError: another process owns the folder.
            ResourceError: the folder cannot be created or written.
        """
        with self._locked() as file:
            owner = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%F %T')}\n"
            with suppress(OSError):  # the lock holds without its text
                file.truncate(0)
                file.write(owner.encode())
            self.sweep()
            try:
                yield
            finally:
                # Emptied, not removed: whoever opened it meanwhile must find the same file as everyone else.
                # Where that fails the text stays, and what is told is the error that ended the block.
                with suppress(OSError):
                    file.truncate(0)

    def _locked(self) -> BinaryIO:
        """The file `.lock`, locked; in place of a link."""
        path = self.path / ".lock"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Of two processes that find a link only one may replace it, and lock what it put there.
            with _alone_in(self.path):
                unshare(path, 0)
                file = open(path, "a+b", buffering=0)  # noqa: SIM115 (closed by the caller)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    with file:
                        file.seek(0)
                        owner = file.read(_LONGEST_OWNER).decode(errors="replace").strip()
                    raise UsageError(
                        f"{self.path} is in use by {owner or 'another process'}. Wait for it or choose "
                        "another folder."
                    ) from None
                return file
        except OSError as error:
            raise ResourceError(
                f"{self.path}: cannot write here ({error.strerror}). Choose another."
            ) from error

    @contextmanager
    def crash_reports(self) -> Iterator[None]:
        """Turns an unexpected exception into `crash_report.txt` and an `InternalError` that names it.

        Raises:
            ResourceError: memory or disk space ran out.
        """
        try:
            yield
        except GsplatError:
            raise
        except Exception as error:
            raise told(error, self.crash_report) from error


def _object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; ValueError where it is none."""
    content = parse_json(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Waits while another process is in such a block about the same folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
