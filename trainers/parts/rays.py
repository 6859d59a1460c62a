"""What the training of RayGauss does besides (Blanc et al. 2025): Gaussians are no finer than photographs
show, none stays whose density counts as nothing, and lobes of colour may come one by one.

Rays pass by a Gaussian that is much narrower than a pixel, so scales have a floor: a share of what a pixel is
wide at the Gaussian, in the photograph that sees it largest. A Gaussian whose peak is not above the threshold
of the density is in no image and has no gradient by which it could come back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.densify.edits import Edit, Prune, Reset
from gsplat_core.densify.rows import indices
from gsplat_core.densify.strategy import SceneView
from gsplat_core.errors import UsageError
from gsplat_core.models.raygauss import LOBE_FIELDS, LOBES, NAME
from gsplat_core.ranges import INTERVAL, NOT_NEGATIVE, SHARE, check_ranges
from gsplat_core.render.sampling import finest_rates
from gsplat_core.render.volume import least_density
from gsplat_core.scene.dataset import View
from trainers.parts.part import Part
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class RaysConfig:
    """Args:
        least_pixels: no standard deviation is smaller than so many pixels of the photograph that sees the
            Gaussian largest; 0: any is.
        every: steps between two looks at which Gaussians are too narrow or not dense enough to be seen.
        prune: whether the latter are removed.
        lobes_from: share of the run after which there is a lobe; published is about 1/10.
        lobes_every: share of the run between one lobe and the next, 1/30 as published; 0: all come at once.

    Raises:
        ValueError: a number outside its range.
    """

    least_pixels: Annotated[float, NOT_NEGATIVE] = 0.5
    every: Annotated[int, INTERVAL] = 100
    prune: bool = True
    lobes_from: Annotated[float, SHARE] = 0.0
    lobes_every: Annotated[float, SHARE] = 0.0

    def __post_init__(self) -> None:
        check_ranges(self)


class Rays(Part):
    """Part of every training of `--renderer raygauss`."""

    settings: ClassVar[type[Any] | None] = RaysConfig

    def __init__(self, settings: RaysConfig, config: TrainConfig, views: Sequence[View]) -> None:
        if config.primitive != NAME:
            raise UsageError(f"--parts rays is for --renderer {NAME}, not for --model {config.primitive}.")
        self._settings = settings
        self._lobes_from = round(settings.lobes_from * config.steps)
        self._lobes_every = round(settings.lobes_every * config.steps)
        self._ray_step = config.ray_step
        self._cameras = [view.camera for view in views]

    def lobes_at(self, step: int) -> int:
        """How many lobes there are in a step."""
        before = step - 1 - self._lobes_from
        if before < 0:
            return 0
        return min(1 + before // self._lobes_every, LOBES) if self._lobes_every else LOBES

    def shown(self, step: int, params: Mapping[str, Tensor], target: Target) -> Mapping[str, Tensor]:
        lobes = self.lobes_at(step)
        if lobes == LOBES:
            return params
        return {**params, **{name: params[name][:, :lobes] for name in LOBE_FIELDS}}

    @torch.no_grad()
    def edits(self, step: int, scene: SceneView) -> list[Edit]:
        if step % self._settings.every:
            return []
        return [*self._widened(scene), *self._without_unseen(scene)]

    def _widened(self, scene: SceneView) -> list[Edit]:
        if not (self._cameras and self._settings.least_pixels):
            return []
        scales = scene.params["scales"].detach()
        rates = finest_rates(scene.params["means"], self._cameras)
        floor = (self._settings.least_pixels / rates).log()[:, None]
        floor = floor.where(rates[:, None] > 0, -torch.inf)  # where nobody looks
        rows = indices((scales < floor).any(dim=1) & scene.free)
        return [Reset(rows, {"scales": scales.maximum(floor)[rows]}, forget="none")] if len(rows) else []

    def _without_unseen(self, scene: SceneView) -> list[Edit]:
        if not self._settings.prune or scene.evaluated is None:
            return []
        volume = scene.evaluated(scene.params).volume
        assert volume is not None
        seen = volume.densities > least_density(self._ray_step * scene.scene_extent)
        rows = indices(~seen & scene.free)
        # Nobody is left of a scene that nobody sees.
        return [Prune(rows)] if 0 < len(rows) < scene.num else []
