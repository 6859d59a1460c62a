"""The training loop: steps, and around them what it takes to watch, stop, resume and rescue a long run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gsplat_core.errors import NumericalError
from gsplat_core.metrics import psnr
from gsplat_core.scene.dataset import View
from trainers.checkpoint import Checkpoint, OtherRunError, Totals, newest_checkpoint, write_checkpoint
from trainers.fields import from_json
from trainers.history import History
from trainers.interrupt import StopRequest
from trainers.observer import Observers
from trainers.progress import TrainingProgress
from trainers.run_folder import RunFolder
from trainers.trainer import Trainer
from trainers.views import Feed, Target

MAX_ROLLBACKS = 3
PROGRESS_SECONDS = 0.5
# Young runs are looked at, too: checkpoints come sooner, each after twice the time of the one before.
FIRST_CHECKPOINT_SECONDS = 5.0


class Interrupted(KeyboardInterrupt):
    """The user or the system asked to stop; the state is in a checkpoint."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step:,}; a checkpoint was written, --resume continues.")


class Loop:
    """Runs `trainer` to its last step inside `run`.

    Args:
        measure: called now and then for the history; returns entries such as the PSNR of test views.
        factor_at: by which factor the photograph of a step is shrunk.
        seen: what of it a step of Adam sees.
        observers: who watches.
    """

    def __init__(
        self,
        trainer: Trainer,
        views: Sequence[View],
        run: RunFolder,
        progress: TrainingProgress,
        measure: Callable[[], dict[str, Any]],
        factor_at: Callable[[int], int] = lambda step: 1,
        seen: Callable[[int, Target], Target] = lambda step, target: target,
        observers: Observers | None = None,
    ) -> None:
        self.observers = observers or Observers()
        self.trainer = trainer
        self.config = trainer.config
        self.views = views
        self.run = run
        self.progress = progress
        self.measure = measure
        self.factor_at = factor_at
        self.seen = seen
        self.totals = Totals()
        self.losses: list[Tensor] = []
        """Of the steps since the last line of history, whose loss is their mean."""
        self.details: dict[str, float] = {}
        """What the last iteration of Levenberg-Marquardt has to tell."""

    def resume(self) -> bool:
        """Continues from the newest usable checkpoint; False when there is none.

        Raises:
            DataError: the checkpoints are damaged, or belong to another configuration or other photographs.
        """

        def use(checkpoint: Checkpoint) -> None:
            self._check_belongs(checkpoint)
            self._restore(checkpoint)

        return newest_checkpoint(self.run.checkpoints, self._warn, use) is not None

    def fit(self) -> Totals:
        """Trains until the last step.

        Raises:
            Interrupted: SIGINT, SIGTERM or SIGHUP came; a checkpoint was written.
            NumericalError: the loss stopped being finite again and again.
        """
        trainer, config = self.trainer, self.config
        self.history = History(self.run.history, self.totals.history_position, self.observers.logged)
        if trainer.step == 0:
            self._save()
        self.progress.expect(trainer.last_step)
        saved = shown = time.monotonic()
        interval = min(FIRST_CHECKPOINT_SECONDS, config.checkpoint_seconds)
        with (
            StopRequest() as stop,
            closing(Feed(self.views, config.seed, trainer.device, self.factor_at, self.seen)) as feed,
            closing(self.history),
        ):
            while trainer.step < trainer.last_step:
                before, handed_over = trainer.num_gaussians, trainer.lm.handed_over
                loss, image, target = self._timed_step(feed)
                self.losses.append(loss)
                self._look_after(before)
                if trainer.lm.handed_over and not handed_over:
                    self._hand_over()
                if trainer.step == config.adam_steps and trainer.lm.handed_over:  # nothing has been done
                    continue

                now = time.monotonic()
                last = trainer.step == trainer.last_step
                log = last or trainer.step % config.log_every == 0 or config.is_long(trainer.step)
                save = last or stop.requested or now - saved >= interval
                show = now - shown >= PROGRESS_SECONDS
                if (log or save) and not trainer.is_finite(self.losses):
                    self._roll_back()
                    continue
                if log or show:
                    self._report(loss, image, target, log)
                    shown = now
                if self._measures_at(trainer.step):
                    self.history.append(step=trainer.step, **self.measure())
                if save:
                    self._save()
                    saved = time.monotonic()
                    interval = min(2 * interval, config.checkpoint_seconds)
                if stop.requested and not last:
                    raise Interrupted(trainer.step)
        return self.totals

    def _look_after(self, before: int) -> None:
        """Says when a step removed most of the scene; raises NumericalError when it removed all of it."""
        step, after = self.trainer.step, self.trainer.num_gaussians
        if after == 0:
            raise NumericalError(
                f"no Gaussian is left after step {step}, where there were {before:,}: density control has "
                "removed all. The poses or the scale of the scene may be wrong; --strategy mcmc never "
                "removes any, and --resume goes on from the last checkpoint."
            )
        if after < before / 2:
            self.progress.note(
                f"warning: step {step} removed {before - after:,} of {before:,} Gaussians; should the result "
                "be poor, the poses or the scale of the scene may be wrong."
            )
            self.history.append(step=step, event="loss", before=before, after=after)

    def _timed_step(self, feed: Feed) -> tuple[Tensor, Tensor, Target]:
        wall, cpu = time.perf_counter(), time.process_time()
        if self.trainer.is_adams(len(self.views), self._numbers):
            target = feed(self.trainer.step + 1)
            loss, image = self.trainer.advance(target)
        else:
            loss, image, target = self._refine()
        self.totals.train_seconds += time.perf_counter() - wall
        self.totals.cpu_seconds += time.process_time() - cpu
        return loss, image, target

    def _refine(self) -> tuple[Tensor, Tensor, Target]:
        """One iteration of Levenberg-Marquardt; shows the first of its photographs."""
        trainer = self.trainer
        numbers = trainer.lm.choose(trainer.step - self.config.adam_steps, len(self.views))
        targets = [Target.of(self.views[number], trainer.device, number) for number in numbers]
        refinement = trainer.refine(targets)
        self.details = refinement.details
        return torch.tensor(refinement.loss, device=trainer.device), refinement.image, targets[0]

    def _report(self, loss: Tensor, image: Tensor, target: Target, log: bool) -> None:
        shown = self.trainer.composited(target, self.trainer.step)
        quality = psnr(image.clamp(0, 1), shown.image, shown.mask)
        step, count = self.trainer.step, self.trainer.num_gaussians
        self.progress.update(step, float(loss), quality, count)
        self.observers.passed(self.trainer, float(loss), quality)
        if log:
            mean_loss = float(sum(self.losses)) / len(self.losses)
            self.history.append(
                step=step,
                loss=mean_loss,
                psnr=quality,
                num_gaussians=count,
                seconds=round(self.totals.train_seconds, 3),
                **self.details,
            )
            self.losses.clear()

    @cached_property
    def _numbers(self) -> int:
        """Of all photographs together."""
        return sum(3 * view.camera.width * view.camera.height for view in self.views)

    def _hand_over(self) -> None:
        """Adam goes on from where Levenberg-Marquardt began, of which nothing stays in the history."""
        first = self.config.adam_steps
        if tried := self.trainer.step == first:
            self.losses.clear()
            self.details = {}
            self.history.cut_after(first)
        self.history.append(step=first, event="adam", tried=int(tried))
        self.progress.expect(self.trainer.last_step)
        why = (
            "the steps of Levenberg-Marquardt on some photographs did harm to the others"
            if tried
            else "there are too few pixels for the Gaussians, or too few turns over the photographs, for "
            "Levenberg-Marquardt (lm.determined, lm.turns)"
        )
        self.progress.note(f"Adam goes on after step {first:,}: {why}.")
        if tried:  # what a checkpoint knows of the history is longer now
            self._save()

    def _measures_at(self, step: int) -> bool:
        every = max(self.config.steps // max(self.config.evaluations, 1), 1)
        ends = (self.config.adam_steps, self.trainer.last_step)
        return self.config.evaluations > 0 and (
            step % every == 0 or step in ends or self.config.is_long(step)
        )

    def _roll_back(self) -> None:
        """Returns to the last good state with half the learning rates; gives up after `MAX_ROLLBACKS`."""
        failed, rollbacks = self.trainer.step, self.totals.rollbacks + 1
        advice = "The photographs or poses may be at fault; smaller learning rates (--config) may help."
        if rollbacks > MAX_ROLLBACKS:
            raise NumericalError(
                f"the loss is not finite at step {failed}, for the {rollbacks}th time. {advice}"
            )
        if newest_checkpoint(self.run.checkpoints, self._warn, self._restore) is None:
            raise NumericalError(
                f"the loss is not finite at step {failed} and there is no checkpoint. {advice}"
            )
        self.totals.rollbacks = rollbacks
        self.trainer.lr_factor /= 2
        self.history.cut(self.totals.history_position)
        self.history.append(
            step=self.trainer.step, event="rollback", failed_step=failed, lr_factor=self.trainer.lr_factor
        )
        self.progress.note(
            f"The loss was not finite by step {failed}: back to step {self.trainer.step} "
            f"with {self.trainer.lr_factor:g} times the learning rates."
        )
        self._save()

    def _check_belongs(self, checkpoint: Checkpoint) -> None:
        ours, theirs = self.config.to_json(), checkpoint.state["config"]
        # The photographs may have moved and the device may change; their content and the settings may not.
        differing = [key for key in ours if ours[key] != theirs.get(key) and key not in ("data", "device")]
        if differing:
            raise OtherRunError(
                checkpoint.path,
                f"made with other settings than {self.run.config.name} has now: {', '.join(differing)}",
                remedy="Put the old values back, or start a new run in another folder.",
            )
        theirs = checkpoint.state["views"]
        if [name for name, _ in self._photographs] != [name for name, _ in theirs]:
            raise OtherRunError(
                checkpoint.path,
                f"made with other training views than {self.config.data} has now",
                remedy="Resume with the same photographs.",
            )
        if changed := [ours[0] for ours, old in zip(self._photographs, theirs, strict=True) if ours != old]:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise OtherRunError(
                checkpoint.path,
                f"made with another photograph or mask {changed[0]}{more} than {self.config.data} has now",
                remedy="Resume with the same photographs, or start a new run in another folder.",
            )

    @cached_property
    def _photographs(self) -> list[list[str]]:
        """Name of each training view and the SHA-256 of what its photograph contains."""
        return [[view.name, view.sha256()] for view in self.views]

    def _save(self) -> None:
        self.history.sync()
        self.totals.history_position = self.history.position
        state = {
            "config": self.config.to_json(),
            "views": self._photographs,
            "totals": dataclasses.asdict(self.totals),
            "losses": torch.stack(self.losses).cpu() if self.losses else torch.zeros(0),
            "trainer": self.trainer.state_dict(),
        }
        write_checkpoint(self.run.checkpoints, self.trainer.step, state, self._warn)

    def _warn(self, text: str) -> None:
        self.progress.note(f"warning: {text}")

    def _restore(self, checkpoint: Checkpoint) -> None:
        """Goes back to the state of a checkpoint.

        Raises:
            LookupError, TypeError, ValueError, RuntimeError: it is not the state of such a run.
        """
        state = checkpoint.state
        totals, losses = from_json(Totals, state["totals"]), state["losses"]
        if not isinstance(losses, Tensor) or losses.dtype != torch.float32 or losses.ndim != 1:
            raise ValueError("losses: expected one number of each step")
        self.trainer.load_state_dict(state["trainer"])
        if self.trainer.step != checkpoint.step:
            raise ValueError(f"the state is that after step {self.trainer.step!r}, not {checkpoint.step}")
        self.totals = totals
        self.losses = list(losses.to(self.trainer.device))
