"""Visit after visit, and around them what it takes to watch, stop and resume.

The store is the checkpoint: it is committed after each visit, with how far the run has come. A visit is
nothing but a function of that state, so a run that was killed goes on to the bit.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gsplat_core.allocation import give_back_freed_memory
from gsplat_core.errors import DataError, NumericalError
from gsplat_core.metrics import psnr
from gsplat_core.scene.dataset import Dataset
from gsplat_core.store.store import SceneStore
from trainers.active_set.block import Block
from trainers.active_set.visits import next_visit, round_of, turns
from trainers.checkpoint import OtherRunError, Totals
from trainers.config import TrainConfig
from trainers.fields import from_json
from trainers.history import History
from trainers.interrupt import StopRequest
from trainers.loop import Interrupted
from trainers.observer import Observers
from trainers.progress import TrainingProgress
from trainers.run_folder import RunFolder
from trainers.views import Feed, Target


@dataclasses.dataclass
class Passed:
    """How far a run has come."""

    step: int = 0
    round: int = 0
    waiting: list[int] = dataclasses.field(default_factory=list)
    """The photographs that this round has yet to visit."""
    visits: int = 0
    measured: int = 0
    """The step of the last measurement."""
    most_active: int = 0
    """The most Gaussians that were in memory."""
    totals: Totals = dataclasses.field(default_factory=Totals)


class Loop:
    """Trains the scene in a store, inside `run`.

    Args:
        most: how many Gaussians there may be in memory.
        remedy: what to do where that is too few for one photograph.
        measure: called now and then for the history.
        factor_at: by which factor the photograph of a step is shrunk.
        seen: what of it a step sees.
        observers: whoever reads the history.
    """

    def __init__(
        self,
        config: TrainConfig,
        store: SceneStore,
        dataset: Dataset,
        run: RunFolder,
        progress: TrainingProgress,
        most: int,
        remedy: str,
        device: torch.device,
        measure: Callable[[], dict[str, Any]],
        factor_at: Callable[[int], int],
        seen: Callable[[int, Target], Target],
        observers: Observers,
    ) -> None:
        self.config, self.store, self.dataset, self.run = config, store, dataset, run
        self.progress, self.most, self.remedy, self.device = progress, most, remedy, device
        self.measure, self.factor_at, self.seen, self.observers = measure, factor_at, seen, observers
        self.cameras = [view.camera for view in dataset.train]
        self.passed = Passed()
        self.losses: list[Tensor] = []

    def resume(self) -> None:
        """Goes on from the last visit that was committed.

        Raises:
            DataError: the store is that of another run.
        """
        facts = self.store.facts
        try:
            kept = dict(facts["passed"])
            totals = from_json(Totals, kept.pop("totals"))
            self.passed = Passed(**kept, totals=totals)
            if not all(0 <= number < len(self.cameras) for number in self.passed.waiting):
                raise ValueError("there is no such photograph")
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(
                self.store.folder, f"this is not the store of a training ({error})",
                remedy="Start a new run in another folder.",
            ) from error  # fmt: skip
        ours, theirs = self.config.to_json(), facts.get("config", {})
        different = [key for key in ours if ours[key] != theirs.get(key) and key not in ("data", "device")]
        if different:
            raise OtherRunError(
                self.store.folder,
                f"made with other settings than {self.run.config.name} has now: {', '.join(different)}",
                remedy="Put the old values back, or start a new run in another folder.",
            )
        if facts.get("views") != self._photographs:
            raise OtherRunError(
                self.store.folder, f"made with other photographs than {self.config.data} has now",
                remedy="Resume with the same photographs, or start a new run in another folder.",
            )  # fmt: skip

    def fit(self) -> Passed:
        """Trains until the last step.

        Raises:
            Interrupted: SIGINT, SIGTERM or SIGHUP came; the run goes on from the last visit.
            NumericalError: the loss is not finite.
            UsageError: one photograph alone sees more than there is room for.
        """
        passed, steps = self.passed, self.config.steps
        with (
            StopRequest() as stop,
            closing(self._history()) as self.history,
        ):
            if not passed.step:
                self._commit()
            while passed.step < steps:
                self._visit(stop)
                if stop.requested and passed.step < steps:
                    raise Interrupted(passed.step)
        return passed

    def _history(self) -> History:
        return History(self.run.history, self.passed.totals.history_position, self.observers.logged)

    def _visit(self, stop: StopRequest) -> None:
        """Does one, unless it is stopped: then nothing of it is kept."""
        passed, config = self.passed, self.config
        waiting = passed.waiting or round_of(passed.round, len(self.cameras), config.seed)
        visit = next_visit(self.store, self.cameras, waiting, self.most, self.remedy)
        views = [self.dataset.train[number] for number in visit.views]
        count = len(views) * turns(config.steps, len(self.cameras), len(views))
        trained = passed.step * len(views) // len(self.cameras) if passed.round else 0
        count = min(count, config.steps - passed.step)
        wall, cpu = time.perf_counter(), time.process_time()
        block = Block(
            config, self.store, self.dataset.scale, visit, passed.step, trained, self.most, self.device
        )
        active, before = block.trainer.num_gaussians, passed.step
        seed = config.seed * 1_000_003 + passed.visits
        factor_at, seen = self.factor_at, self.seen
        feeding = Feed(
            views, seed, self.device, lambda step: factor_at(before + step),
            lambda step, target: seen(before + step, target),
        )  # fmt: skip
        with closing(feeding) as feed:
            for number in range(1, count + 1):
                target = feed(number)
                loss, image = block.trainer.advance(target)
                self.losses.append(loss)
                if stop.requested and number < count:
                    return
                self._report(block, before + number, loss, image, target, wall)
        if not block.trainer.is_finite(self.losses):
            raise NumericalError(
                f"the loss is not finite by step {before + count}. The photographs or poses may be at fault; "
                "smaller learning rates (--config) may help. --resume goes on from the visit before."
            )
        active = max(active, block.trainer.num_gaussians)
        block.write_back()
        del block
        give_back_freed_memory()
        passed.step += count
        passed.visits += 1
        passed.most_active = max(passed.most_active, active)
        chosen = set(visit.views)
        passed.waiting = [number for number in waiting if number not in chosen]
        passed.round += not passed.waiting
        passed.totals.train_seconds += time.perf_counter() - wall
        passed.totals.cpu_seconds += time.process_time() - cpu
        self._measure()
        self._commit()

    def _report(
        self, block: Block, step: int, loss: Tensor, image: Tensor, target: Target, since: float
    ) -> None:
        last = step == self.config.steps
        if not (last or step % self.config.log_every == 0):
            return
        shown = block.trainer.composited(target, step)
        quality = psnr(image.clamp(0, 1), shown.image, shown.mask)
        self.progress.update(step, float(loss), quality, block.num_gaussians)
        seconds = self.passed.totals.train_seconds + time.perf_counter() - since
        self.history.append(
            step=step,
            loss=float(sum(self.losses)) / len(self.losses),
            psnr=quality,
            num_gaussians=block.num_gaussians,
            seconds=round(seconds, 3),
        )
        self.losses.clear()

    def _measure(self) -> None:
        passed, every = self.passed, max(self.config.steps // max(self.config.evaluations, 1), 1)
        due = passed.step - passed.measured >= every or passed.step == self.config.steps
        if self.config.evaluations > 0 and due:
            self.history.append(step=passed.step, **self.measure())
            passed.measured = passed.step

    def _commit(self) -> None:
        self.history.sync()
        self.passed.totals.history_position = self.history.position
        self.losses.clear()
        self.store.commit(
            {
                "config": self.config.to_json(),
                "views": self._photographs,
                "passed": dataclasses.asdict(self.passed),
            }
        )

    @cached_property
    def _photographs(self) -> Sequence[list[str]]:
        """Name of each training view and the SHA-256 of what its photograph contains."""
        return [[view.name, view.sha256()] for view in self.dataset.train]
