"""A viewer that follows a training: the page shows the scene as it becomes.

A copy of the scene is made between two steps, and only while a page waits for one. What copies and requests
cost is measured, and the next copy is made no sooner than that is `SHARE` of this process's processor time
since. What a page has the server render, such as depth, comes on top, and only when somebody moves.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trainers.camera_paths import orbit_of_cameras
from trainers.history import read_history
from trainers.next_steps import quoted
from trainers.observer import Observer
from trainers.parts.results import AtTest
from trainers.results import test_background
from trainers.viewer.server import Viewer
from trainers.viewer.subject import Subject, Training

if TYPE_CHECKING:
    from collections.abc import Callable

    from gsplat_core.scene.dataset import Dataset
    from gsplat_core.scene.gaussians import Gaussians
    from trainers.run_folder import RunFolder
    from trainers.trainer import Trainer

SHARE = 0.005
LEAST_SECONDS = 2.0


class Following(Observer):
    """
    Args:
        host, port: where to listen, see `Viewer`.
        say: told the address.
    """

    def __init__(self, host: str, port: int, say: Callable[[str], None]) -> None:
        self._host, self._port, self._say = host, port, say
        self._viewer: Viewer | None = None
        self._next = self._next_cpu = 0.0
        self.spent = 0.0
        """Seconds of processor time that copies and requests have taken so far."""

    def started(self, trainer: Trainer, dataset: Dataset, run: RunFolder) -> None:
        self._subject = Subject(
            run.path.resolve().name,
            quoted(run.path),
            _copied(trainer),
            orbit_of_cameras([view.camera for view in dataset.train]),
            views=[*dataset.train, *dataset.test],
            tests=len(dataset.test),
            background=test_background(trainer.config),
            compared=AtTest(trainer.parts, dataset.train),
            training=Training(trainer.last_step, trainer.step, num_gaussians=trainer.num_gaussians),
            history=lambda: read_history(run.history),
        )
        self._viewer = Viewer(self._subject, self._host, self._port)
        self._say(f"watch it at {self._viewer.url}")

    def passed(self, trainer: Trainer, loss: float, psnr: float) -> None:
        self._tell(trainer, loss, psnr)
        due = time.monotonic() >= self._next and time.process_time() >= self._next_cpu
        if due and self._subject.wanted.is_set():
            self._show(trainer)

    def finished(self, trainer: Trainer) -> None:
        self._show(trainer)
        self._told.ended = True

    def close(self) -> None:
        if self._viewer is not None:
            self._viewer.stop()

    @property
    def _told(self) -> Training:
        assert self._subject.training is not None
        return self._subject.training

    def _tell(self, trainer: Trainer, loss: float, psnr: float) -> None:
        told = self._told
        told.steps, told.step = trainer.last_step, trainer.step
        told.loss, told.psnr = loss, psnr
        told.num_gaussians = trainer.num_gaussians

    def _show(self, trainer: Trainer) -> None:
        assert self._viewer is not None
        began = time.thread_time()
        self._subject.replace(_copied(trainer))
        cost = time.thread_time() - began + self._viewer.spent()
        self.spent += cost
        self._next = time.monotonic() + LEAST_SECONDS
        self._next_cpu = time.process_time() + cost / SHARE


def _copied(trainer: Trainer) -> Gaussians:
    return trainer.gaussians.detached().without_extras().cloned()
