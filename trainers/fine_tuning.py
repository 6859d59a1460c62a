"""Short training of a finished scene: what pruning and rounding cost is mostly won back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from torch import Tensor

from gsplat_core.compress.codec import Codec
from gsplat_core.compress.training import CompressedTraining, Schedule
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.gaussians import Gaussians
from trainers.config import TrainConfig
from trainers.parts.codec import Codec as CodecPart
from trainers.parts.part import Part
from trainers.parts.registry import create
from trainers.parts.results import AtTest, settled
from trainers.trainer import Trainer
from trainers.views import Feed
from trainers.waiting import counted

# Of the rates that a run ends with, the means' in particular: a finished scene moves little.
MEANS_RATE = 10.0


def _unwatched(step: int, loss: Tensor, count: int) -> None:
    pass


def fine_tuning_config(config: TrainConfig, steps: int) -> TrainConfig:
    """The configuration of a run changed so that `steps` more steps polish its result."""
    rates = config.learning_rates
    return replace(
        config,
        steps=steps,
        sh_degree_every=0,
        # A rate of 0 says that they are not trained.
        learning_rates=replace(rates, means=MEANS_RATE * rates.means_final if rates.means else 0.0),
    )


def fine_tune(
    gaussians: Gaussians,
    dataset: Dataset,
    config: TrainConfig,
    codec: Codec,
    steps: int,
    keep: float,
    watch: Callable[[int, Tensor, int], None] = _unwatched,
    results: Mapping[str, Any] | None = None,
) -> Gaussians:
    """Prunes the scene to a fraction and trains it as `codec` will show it.

    Args:
        config: how the scene was trained.
        steps: training steps, one view each.
        keep: fraction of the Gaussians that stays.
        watch: called after every step with its number, the loss and the number of Gaussians.
        results: what other parts of that training found (`trainers.parts.results`), which stays as it is.
    """
    config = fine_tuning_config(config, steps)
    at_test = AtTest(settled(config, dataset.train, results or {}, gaussians.device), dataset.train)
    cameras = [at_test.camera(view) for view in dataset.train]
    compression = CompressedTraining(codec, Schedule(0, steps, keep), cameras, config.drawn)
    own = {"codec": CodecPart(compression)}
    return _trained(gaussians, dataset, config, own, "training for the codec", watch, results or {})


def polish(
    gaussians: Gaussians,
    dataset: Dataset,
    config: TrainConfig,
    steps: int,
    results: Mapping[str, Any] | None = None,
) -> Gaussians:
    """Trains a scene for `steps` more steps as it is, with the rows that it has. Arguments as for
    `fine_tune`."""
    own = {"density": _Settling(steps)}
    config = fine_tuning_config(config, steps)
    return _trained(gaussians, dataset, config, own, "training what is left", _unwatched, results or {})


class _Settling(Part):
    """In the place of density control: learning rates fall as when training for a codec."""

    def __init__(self, steps: int) -> None:
        self._schedule = Schedule(0, steps)

    def learning_rate_factor(self, step: int) -> float:
        return self._schedule.learning_rate_factor(step)


def _trained(
    gaussians: Gaussians,
    dataset: Dataset,
    config: TrainConfig,
    own: Mapping[str, Part],
    doing: str,
    watch: Callable[[int, Tensor, int], None],
    results: Mapping[str, Any],
) -> Gaussians:
    """The scene after a run with parts of its own."""
    parts = create(config, dataset.train, own)
    parts.settle(results)
    trainer = Trainer(config, gaussians, dataset.scale, None, parts)
    with closing(Feed(dataset.train, config.seed, trainer.device)) as feed:
        for step in counted(range(1, config.steps + 1), doing, config.steps):
            loss, _ = trainer.advance(feed(step))
            watch(step, loss, trainer.num_gaussians)
    return trainer.gaussians.detached()
