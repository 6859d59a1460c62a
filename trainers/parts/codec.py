"""Training for a codec as a part of the training: the scene is shown as it would be decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from gsplat_core.compress.registry import CODECS
from gsplat_core.compress.training import CompressedTraining, Schedule
from gsplat_core.densify.edits import Edit
from gsplat_core.densify.strategy import SceneView
from gsplat_core.io import gsz
from gsplat_core.io.usable import keep_usable
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from trainers.parts.part import Part, Rendering
from trainers.run_folder import RunFolder
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


class Codec(Part):
    """Part of runs with `TrainConfig.compression`.

    From its start on, it alone edits the scene, whose rows keep their order: a codec knows the rows that it
    was fitted to.
    """

    first_order: ClassVar[str | None] = "does not train for a codec; leave out --compress"

    def __init__(self, training: CompressedTraining) -> None:
        self.training = training

    @classmethod
    def of(cls, name: str, config: TrainConfig, views: Sequence[View]) -> Codec | None:
        options = config.compression
        if options is None:
            return None
        codec = CODECS[options.codec].create(options.coarseness)
        schedule = Schedule(round(options.start * (config.steps - 1)), config.steps, options.keep)
        cameras = [view.camera for view in views]
        return cls(CompressedTraining(codec, schedule, cameras, config.drawn))

    def learning_rate_factor(self, step: int) -> float:
        return self.training.schedule.learning_rate_factor(step)

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        return self.training.shown(step, params)

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        return self.training.penalty(step, rendering.scene.params)

    def holds_rows(self, step: int) -> bool:
        return step >= self.training.schedule.start

    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        if step not in self.training.schedule.prunings:
            return []
        drawn = scene.params if scene.evaluated is None else scene.evaluated(scene.params)
        return self.training.on_step(step, drawn)

    def coded(self, scene: Gaussians, run: RunFolder) -> Gaussians:
        gsz.save(run.compressed, keep_usable(scene, run.compressed, strict=False), self.training.codec)
        return gsz.load(run.compressed).to(scene.device)

    def state_dict(self) -> dict[str, Any]:
        return self.training.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.training.load_state_dict(state)
