"""Who watches a training: live viewers and logs of other programs. They change nothing of it.

They are called by the thread that trains, between two steps, and should return soon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gsplat_core.scene.dataset import Dataset
    from trainers.run_folder import RunFolder
    from trainers.trainer import Trainer


class Observer:
    """An observer that looks away."""

    def started(self, trainer: Trainer, dataset: Dataset, run: RunFolder) -> None:
        """The first step comes next: step 1, or the one after that of a checkpoint."""

    def logged(self, entry: dict[str, Any]) -> None:
        """A line was appended to the history (`trainers.history`)."""

    def passed(self, trainer: Trainer, loss: float, psnr: float) -> None:
        """Called now and then, about twice a second. The parameters stay as they are until it returns."""

    def finished(self, trainer: Trainer) -> None:
        """The last step was done; the results are about to be measured."""

    def close(self) -> None:
        """The program is done with the run, or the run has failed."""


class Observers(Observer):
    """Several as one. Who fails is told of and not asked again: no training ends for it.

    Args:
        warn: where to tell.
    """

    def __init__(
        self, each: Sequence[Observer] = (), warn: Callable[[str], None] = lambda text: None
    ) -> None:
        self._each = list(each)
        self._warn = warn

    def started(self, trainer: Trainer, dataset: Dataset, run: RunFolder) -> None:
        self._ask(lambda observer: observer.started(trainer, dataset, run))

    def logged(self, entry: dict[str, Any]) -> None:
        self._ask(lambda observer: observer.logged(entry))

    def passed(self, trainer: Trainer, loss: float, psnr: float) -> None:
        self._ask(lambda observer: observer.passed(trainer, loss, psnr))

    def finished(self, trainer: Trainer) -> None:
        self._ask(lambda observer: observer.finished(trainer))

    def close(self) -> None:
        self._ask(lambda observer: observer.close())

    def _ask(self, question: Callable[[Observer], None]) -> None:
        for observer in list(self._each):
            try:
                question(observer)
            except Exception as error:
                self._each.remove(observer)
                name = type(observer).__name__
                self._warn(f"{name} is left out from here on: {type(error).__name__}: {error}")
