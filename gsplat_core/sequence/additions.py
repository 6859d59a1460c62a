"""Density control of a frame that continues another: it only adds, and removes only what it added (QUEEN,
Girish et al. 2024).

A Gaussian grows where the image pulls at its projected centre, in the mean over the views that see it, as in
ADC. It stays as it is and gets one copy of its own size beside it (as `densify/unified.py`; QUEEN also
splits): a copy has the numbers of an ancestor in the frame before, so that only its place has to be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from gsplat_core.activations import sigmoid
from gsplat_core.densify.edits import Clone, Edit, Prune
from gsplat_core.densify.rows import foremost, indices, offsets_within
from gsplat_core.densify.strategy import RenderStats, SceneView, Strategy
from gsplat_core.ranges import BETWEEN_0_AND_1, INTERVAL, POSITIVE, SHARE, STEP, check_ranges


@dataclass(frozen=True)
class AdditionsConfig:
    """As published; the schedule is in turns over the training photographs.

    Args:
        gradient_threshold: mean pull from which a Gaussian grows, in the units of
            `ADCConfig.gradient_threshold`.
        start, every: turns before the first refinement, and between two.
        until: share of the steps after which none follows.
        most: at most this share of the Gaussians of the frame before is added; those that are pulled at
            hardest grow first. (As published there is no limit.)
        prune_opacity: added Gaussians less opaque than this are removed,
        prune_pixels: and those with a larger radius in an image,
        prune_scale: and those with a standard deviation above this share of the scene's length.

    Raises:
        ValueError: a value outside its range.
    """

    gradient_threshold: Annotated[float, POSITIVE] = 0.00125
    start: Annotated[int, STEP] = 4
    every: Annotated[int, INTERVAL] = 2
    until: Annotated[float, SHARE] = 0.8
    most: Annotated[float, SHARE] = 0.01
    prune_opacity: Annotated[float, BETWEEN_0_AND_1] = 0.01
    prune_pixels: Annotated[float, POSITIVE] = 20.0
    prune_scale: Annotated[float, POSITIVE] = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)


class Additions(Strategy):
    """
    Args:
        before: how many Gaussians the frame before has; they are the first rows, and stay.
        turn: training photographs.
        steps: of the training.
        most: there are never more Gaussians; None: no limit.
    """

    def __init__(
        self, config: AdditionsConfig, before: int, turn: int, steps: int, most: int | None, seed: int
    ) -> None:
        super().__init__(seed)
        self._config, self._before = config, before
        allowed = before + int(config.most * before)
        self._limit = allowed if most is None else min(allowed, most)
        self._start, self._every = config.start * turn, config.every * turn
        self._stop = config.until * steps
        self.initialize(before, "cpu")

    def initialize(self, num: int, device: torch.device | str) -> None:
        self.rows = {name: torch.zeros(num, device=device) for name in ("pulls", "seen", "radius")}

    @torch.no_grad()
    def on_backward(self, step: int, stats: RenderStats) -> None:
        if step > self._stop:
            return
        self.check_rows(stats.radii.shape[1])
        for camera in range(len(stats.radii)):
            radius = stats.radii[camera].amax(dim=-1)
            self.rows["pulls"] += torch.where(radius > 0, stats.pulls(camera), 0)
            self.rows["seen"] += radius > 0
            self.rows["radius"] = self.rows["radius"].maximum(radius.float())

    def grows_at(self, step: int) -> bool:
        return self._start < step <= self._stop and (step - self._start) % self._every == 0

    @torch.no_grad()
    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        """Copies, with their "means", and who goes.

        Args:
            view: its parameters are those of the frame as it is now.
        """
        if not self.grows_at(step):
            return []
        self.check_rows(view.num)
        c, params = self._config, view.params
        sizes = params["scales"].exp()
        gone = sigmoid(params["opacities"]) < c.prune_opacity
        gone |= (self.rows["radius"] > c.prune_pixels) | (
            sizes.amax(dim=1) > c.prune_scale * view.scene_extent
        )
        added = torch.arange(view.num, device=gone.device) >= self._before
        pull = (self.rows["pulls"] / self.rows["seen"].clamp(min=1)).nan_to_num(0, 0, 0)
        growing = indices((pull >= c.gradient_threshold) & ~gone)
        growing = foremost(growing, pull, max(self._limit - view.num, 0)).sort().values
        offsets = offsets_within(params["quats"][growing], sizes[growing], 1, self.random)[:, 0]
        self.initialize(view.num, gone.device)
        return [Clone(growing, {"means": params["means"][growing] + offsets}), Prune(indices(gone & added))]
