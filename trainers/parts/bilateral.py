"""A bilateral grid for each photograph, learnt with the scene (Wang et al. 2024, "Bilateral guided radiance
field processing"), as gsplat's trainer offers it: what the camera did to the light there, and how that
depends on the place in the image and on how bright it is (`gsplat_core.bilateral_grid`).

Sizes, the weight of the total variation and the learning rate, which warms up over a thirtieth of the run and
falls to a hundredth of itself, are gsplat's. There one tensor holds all grids, and Adam moves every one of
them in each step; here each has its turn when its photograph has, and goes sqrt(photographs) times as far,
which is the same where gradients are as usual. What all nodes of a grid have in common, the exposure, is
learnt apart, as `trainers.parts.exposure` learns it: one by one, thousands of nodes find it too late for a
short run.

As in `trainers.parts.exposure`, grids are taken relative to their mean, so that the scene has the colours of
the average photograph, and change the light of the scene but not what is behind it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.bilateral_grid import identity_grid, sliced, total_variation
from gsplat_core.ranges import NOT_NEGATIVE, POSITIVE, Range, check_ranges
from gsplat_core.scene.dataset import View
from trainers.parts.light import affine_between, light_of
from trainers.parts.packed import packed, unpacked
from trainers.parts.part import Group, Part, Picture, Rendering, of_unseen
from trainers.schedules import exponential
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig

_WARM_UP = 1 / 30
_LOOKED_UP = 2
"""Changes are looked up in squares of pixels of which at least so many lie between two nodes of a grid ..."""
_LARGEST = 4
"""... and which have at most so many pixels a side."""
_NODES = Range(1, 256)


@dataclass(frozen=True)
class BilateralConfig:
    """Args:
        width, height, levels: how many nodes a grid has over width, height and brightness.
        variation: weight of a grid's total variation.
        rate: Adam's learning rate of the nodes.
        common_rate: of what all nodes have in common; falls to a tenth.

    Raises:
        ValueError: a number outside its range.
    """

    width: Annotated[int, _NODES] = 16
    height: Annotated[int, _NODES] = 16
    levels: Annotated[int, _NODES] = 8
    variation: Annotated[float, NOT_NEGATIVE] = 10.0
    rate: Annotated[float, POSITIVE] = 2e-3
    common_rate: Annotated[float, POSITIVE] = 0.01

    def __post_init__(self) -> None:
        check_ranges(self)


class Bilateral(Part):
    """`--appearance bilateral`."""

    settings: ClassVar[type[Any] | None] = BilateralConfig
    first_order: ClassVar[str | None] = "fits no bilateral grids; leave out --appearance"
    neighbours: ClassVar[str | None] = "changes colours by where a pixel is"

    def __init__(self, settings: BilateralConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._steps = config.steps
        self._names = [view.name for view in views]
        self._identity = identity_grid(settings.width, settings.height, settings.levels)
        self._common = torch.zeros(len(views), 12, 1, 1, 1)
        self._all = self._identity.repeat(len(views), 1, 1, 1, 1)
        self._grids: list[Tensor] = []
        self._settled = False

    def initialize(self, num: int, device: torch.device) -> None:
        self._identity = self._identity.to(device)
        self._common = self._common.to(device, copy=True).requires_grad_(not self._settled)
        self._all = self._all.to(device, copy=True)
        # Leaves of their own that share the memory of all: those whose turn it is not have no gradient.
        self._grids = [grid.detach().requires_grad_(not self._settled) for grid in self._all]

    def parameters(self) -> Sequence[Group]:
        if self._settled:
            return []
        grids = [Group(f"grids.{view}", grid, self._rate) for view, grid in enumerate(self._grids)]
        return [Group("common", self._common, self._common_rate), *grids]

    def _rate(self, step: int) -> float:
        warm = min(step / (_WARM_UP * self._steps), 1.0)
        rate = self._settings.rate * math.sqrt(len(self._names))
        return warm * exponential(rate, rate / 100, step, self._steps)

    def _common_rate(self, step: int) -> float:
        return exponential(self._settings.common_rate, self._settings.common_rate / 10, step, self._steps)

    def grid(self, view: int) -> Tensor:
        """[12, levels, height, width] of a training view."""
        grid = self._grids[view]
        if self._settled:
            return grid
        common = self._common[view] - self._common.mean(dim=0)
        return grid - self._all.mean(dim=0) + self._identity + common

    def image(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        return target.overexposed(self._changed(self.grid(target.view), rendering))

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        if self._settled or not self._settings.variation:
            return None
        return self._settings.variation * total_variation(self.grid(target.view))

    def at_test(self, picture: Picture, view: int | None) -> Tensor:
        return picture.image if view is None else self._changed(self.grid(view), picture)

    def _changed(self, grid: Tensor, picture: Picture) -> Tensor:
        light, behind = light_of(picture)
        height, width = light.shape[1:3]
        apart = min(width / grid.shape[3], height / grid.shape[2])
        block = min(max(int(apart / _LOOKED_UP), 1), _LARGEST)
        changed = sliced(grid, light[0], picture.alphas[0], block)[None]
        return changed if behind is None else changed + behind

    def affine(self, picture: Picture, view: int) -> Tensor:
        return affine_between(picture, self.at_test(picture, view))

    def for_unseen(self, view: View) -> Part:
        return _Unseen(self._settings, self._changed)

    def result(self) -> dict[str, Any]:
        """The grids by name of the photograph, packed."""
        return {name: packed(self.grid(view)) for view, name in enumerate(self._names)}

    def settle(self, result: Mapping[str, Any]) -> None:
        """Photographs that the result does not name have the scene's own colours."""
        for view, name in enumerate(self._names):
            if name in result:
                what = f"the bilateral grid of {name}"
                self._all[view] = unpacked(result[name], self._all.shape[1:], what)
        self._settled = True


class _Unseen(Part):
    """What one photograph has of its own that does not depend on the place, so that one half of it tells of
    the other: an affine change of all colours, and one that depends on the brightness."""

    def __init__(self, settings: BilateralConfig, changed: Callable[[Tensor, Picture], Tensor]) -> None:
        self._changed = changed
        self._affine = identity_grid(1, 1, 1)
        self._curve = torch.zeros(12, settings.levels, 1, 1)

    def initialize(self, num: int, device: torch.device) -> None:
        self._affine, self._curve = (t.to(device).requires_grad_() for t in (self._affine, self._curve))

    def parameters(self) -> Sequence[Group]:
        return [of_unseen("affine", self._affine, 0.2), of_unseen("curve", self._curve, 0.04)]

    def at_test(self, picture: Picture, view: int | None) -> Tensor:
        return self._changed(self._affine + self._curve, picture)
