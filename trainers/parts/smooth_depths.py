"""Surfaces are smooth where photographs are: the total variation of the inverse depths that a scene shows.

The loss is the mean of |q_x| + |q_y| between neighbouring pixels, q = 1 / (z + near) times the scene's
length, so that units do not matter. It counts e times less for each `edge` by which their colours differ
(Godard et al. 2017), and not at all where q jumps by more than the share `jump`: nothing is to be stretched
between a thing and what is behind it, which CoherentGS (Paliwal et al. 2024) sees to by layers of depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.densify.strategy import Wants
from gsplat_core.losses import as_float
from gsplat_core.ranges import POSITIVE, SHARE, check_ranges
from gsplat_core.scene.dataset import View
from gsplat_core.scene.depth_alignment import inverse
from trainers.parts.part import Part, Rendering
from trainers.schedules import weight_at
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class SmoothDepthsConfig:
    """Args:
        weight, weight_final: of the loss, at the start and at the end of the run.
        edge: difference of colours in [0, 1].
        jump: share of the larger q by which that of a neighbour differs where another thing begins.
        start, end: shares of the run between which it counts.

    Raises:
        ValueError: a number outside its range.
    """

    weight: Annotated[float, POSITIVE] = 1.0
    weight_final: Annotated[float, POSITIVE] = 1.0
    edge: Annotated[float, POSITIVE] = 0.1
    jump: Annotated[float, SHARE] = 0.1
    start: Annotated[float, SHARE] = 0.0
    end: Annotated[float, SHARE] = 1.0

    def __post_init__(self) -> None:
        check_ranges(self)


class SmoothDepths(Part):
    """`--parts smooth_depths`, and part of every training with `--sparse`."""

    settings: ClassVar[type[Any] | None] = SmoothDepthsConfig
    first_order: ClassVar[str | None] = "knows no depths; leave out --parts smooth_depths"
    neighbours: ClassVar[str | None] = "compares the depths of neighbouring pixels"

    def __init__(self, settings: SmoothDepthsConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._steps = config.steps

    def _weight(self, step: int) -> float:
        return weight_at(step, self._steps, self._settings)

    def wants(self, step: int) -> Wants:
        return Wants(depth=self._weight(step) > 0)

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        weight = self._weight(step)
        if not weight or rendering.depths is None:
            return None
        counts = rendering.alphas[0, ..., 0].detach()
        if target.mask is not None:
            counts = counts.where(target.mask, 0.0)
        there = counts > 0
        q = inverse(rendering.depths[0].where(there, 1.0), target.near) * rendering.scene.scene_extent
        image = as_float(target.image)
        total, pixels = q.new_zeros(()), counts.sum().clamp(min=1)
        for dim in (0, 1):
            total = total + (self._pulls(q.detach(), counts, image, dim) * q.diff(dim=dim).abs()).sum()
        return weight * total / pixels

    def _pulls(self, q: Tensor, counts: Tensor, image: Tensor, dim: int) -> Tensor:
        """How much each pair of neighbours along a dimension counts."""
        s, last = self._settings, q.shape[dim] - 1
        a, b = q.narrow(dim, 0, last), q.narrow(dim, 1, last)
        one_thing = (a - b).abs() <= s.jump * torch.maximum(a, b)
        covered = torch.minimum(counts.narrow(dim, 0, last), counts.narrow(dim, 1, last))
        alike = (-image.diff(dim=dim).abs().mean(dim=-1) / s.edge).exp()
        return (alike * covered).where(one_thing, 0.0)
