"""Training a scene for a codec: prune, then render what would be decoded and pay for its bits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.compress.codec import Codec
from gsplat_core.compress.prune import importance
from gsplat_core.compress.ranking import least_important
from gsplat_core.compress.registry import check_name
from gsplat_core.densify.edits import Edit, Prune
from gsplat_core.ranges import INTERVAL, SOME_SHARE, Range, check_ranges
from gsplat_core.render.scene import Scene
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera


@dataclass(frozen=True)
class CompressionConfig:
    """How a scene is trained for a codec.

    Args:
        codec: one of `gsplat_core.compress.registry.CODECS`.
        keep: fraction of the Gaussians of the start that are left.
        coarseness: factor on the codec's steps (and the inverse of the square root of its codebooks).
        start: when quantisation starts and density control ends, as a fraction of the run.

    Raises:
        ValueError: values out of range.
        UsageError: no codec has this name.
    """

    codec: str = "scalar"
    keep: Annotated[float, SOME_SHARE] = 0.5
    coarseness: Annotated[float, Range(0, 16, "least")] = 1.0
    start: Annotated[float, Range(0, 1, "most")] = 0.6

    def __post_init__(self) -> None:
        check_ranges(self)
        check_name(self.codec)


@dataclass(frozen=True)
class Schedule:
    """Steps count from 1; everything happens after the step it names.

    Args:
        start: from the step after this one on, renderings show the quantised scene.
        stop: the last step of the run.
        keep: fraction of the Gaussians that are left after both prunings, the first at the start and the
            second after a third of the rest.
        refresh_every: so often the codec is fitted anew.

    Raises:
        ValueError: values out of range.
    """

    start: int
    stop: int
    keep: Annotated[float, SOME_SHARE] = 1.0
    refresh_every: Annotated[int, INTERVAL] = 100

    def __post_init__(self) -> None:
        check_ranges(self)
        if not 0 <= self.start < self.stop:
            raise ValueError(f"start = {self.start}: expected 0 to before the end, {self.stop}")

    @property
    def prunings(self) -> tuple[int, int]:
        first = max(self.start, 1)
        return first, max(first + 1, self.start + (self.stop - self.start) // 3)

    def learning_rate_factor(self, step: int) -> float:
        """1, and over the last third of the quantised part falling to 0.05 along a cosine."""
        span = self.stop - self.start
        t = (step - self.start - 2 * span / 3) / (span / 3)
        return 1.0 if t <= 0 else 0.05 + 0.95 * (1 + math.cos(math.pi * min(t, 1.0))) / 2


class CompressedTraining:
    """What a trainer asks in every step when the scene is meant for a codec.

    Args:
        cameras: the training views; how much they show of a Gaussian decides what is pruned.
        settings: as the scene is trained.
    """

    def __init__(
        self, codec: Codec, schedule: Schedule, cameras: Sequence[Camera], settings: RenderSettings = USUAL
    ) -> None:
        self.codec = codec
        self.schedule = schedule
        self._cameras = cameras
        self._settings = settings
        self._fitted_rows = -1

    def shown(self, step: int, params: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The parameters to render in this step: from the start on, quantised ones."""
        if step <= self.schedule.start:
            return params
        rows = params["means"].shape[0]
        if rows != self._fitted_rows or (step - self.schedule.start - 1) % self.schedule.refresh_every == 0:
            self.codec.refresh(params)
            self._fitted_rows = rows
        return self.codec.quantized(params)

    def penalty(self, step: int, params: Mapping[str, Tensor]) -> Tensor:
        """What to add to the loss of this step, after `shown`."""
        if step <= self.schedule.start:
            return params["means"].new_zeros(())
        return self.codec.penalty(params)

    @torch.no_grad()
    def on_step(self, step: int, scene: Scene) -> list[Edit]:
        """The edits after this step: nothing but prunings."""
        if self.schedule.keep == 1 or step not in self.schedule.prunings:
            return []
        scores = importance(scene, self._cameras, self._settings)
        keep = max(1, round(len(scores) * self.schedule.keep**0.5))
        return [Prune(least_important(scores, keep))]

    def state_dict(self) -> dict[str, Tensor]:
        state = {f"codec.{name}": value for name, value in self.codec.state_dict().items()}
        return {**state, "fitted_rows": torch.tensor(self._fitted_rows)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._fitted_rows = int(state["fitted_rows"])
        self.codec.load_state_dict(
            {name.removeprefix("codec."): value for name, value in state.items() if name != "fitted_rows"}
        )
