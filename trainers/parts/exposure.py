"""The exposure and white balance of each photograph, learnt with the scene.

Photographs of one scene differ in what the camera did to its light. A scene that has to match all of them
means their average and makes up the rest with colours that depend on the direction, and with clouds before
the cameras. Here each training photograph has an affine transform of colours of its own,

    c -> A c + b,    A [3, 3], b [3],

as in the later releases of 3D Gaussian splatting (Kerbl et al. 2023; hierarchical 3DGS, Kerbl et al. 2024),
with a rate that falls exponentially from 0.01 to 0.001.

All photographs brighter and the scene darker would look the same. So the transforms are taken relative to
their mean, unlike there: the average photograph has the scene's own colours, and so has a view that was not
trained on. (On the sample scene with gains of 0.7 to 1.3 that is worth 1.6 dB on photographs without.)

The transform is of the light that comes from the scene; a background of one colour, which is put behind
photographs that are transparent, stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor

from gsplat_core.ranges import POSITIVE, check_ranges
from gsplat_core.scene.dataset import View
from trainers.parts.light import light_of
from trainers.parts.part import Group, Part, Picture, Rendering, of_unseen
from trainers.schedules import exponential
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class ExposureConfig:
    """Args:
        rate, rate_final: Adam's learning rate at the start and at the end of the run.

    Raises:
        ValueError: a rate that is not positive.
    """

    rate: Annotated[float, POSITIVE] = 0.01
    rate_final: Annotated[float, POSITIVE] = 0.001

    def __post_init__(self) -> None:
        check_ranges(self)


class Exposure(Part):
    """`--appearance affine`."""

    settings: ClassVar[type[Any] | None] = ExposureConfig
    first_order: ClassVar[str | None] = "fits no exposures; leave out --appearance"

    def __init__(self, settings: ExposureConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._steps = config.steps
        self._names = [view.name for view in views]
        self._free = torch.eye(3, 4).repeat(len(self._names), 1, 1)
        self._settled = False

    def initialize(self, num: int, device: torch.device) -> None:
        self._free = self._free.to(device, copy=True).requires_grad_(not self._settled)

    def parameters(self) -> Sequence[Group]:
        return [] if self._settled else [Group("transforms", self._free, self._rate)]

    def _rate(self, step: int) -> float:
        return exponential(self._settings.rate, self._settings.rate_final, step, self._steps)

    def transform(self, view: int) -> Tensor:
        """[3, 4] the matrix A and the column b of a training view."""
        if self._settled:
            return self._free[view]
        return self._free[view] - self._free.mean(dim=0) + torch.eye(3, 4, device=self._free.device)

    def image(self, step: int, rendering: Rendering, target: Target) -> Tensor:
        return target.overexposed(self._exposed(rendering, target.view))

    def at_test(self, picture: Picture, view: int | None) -> Tensor:
        return picture.image if view is None else self._exposed(picture, view)

    def _exposed(self, picture: Picture, view: int) -> Tensor:
        return exposed(picture, self.transform(view))

    def affine(self, picture: Picture, view: int) -> Tensor:
        return self.transform(view)

    def for_unseen(self, view: View) -> Part:
        return _Unseen()

    @torch.no_grad()
    def result(self) -> dict[str, Any]:
        """The rows of A, each followed by its entry of b, by name of the photograph."""
        return {name: self.transform(view).tolist() for view, name in enumerate(self._names)}

    def settle(self, result: Mapping[str, Any]) -> None:
        """Photographs that the result does not name have the scene's own colours."""
        for view, name in enumerate(self._names):
            if name in result:
                self._free[view] = _matrix(name, result[name])
        self._settled = True


def exposed(picture: Picture, transform: Tensor) -> Tensor:
    """[1, H, W, 3] a picture whose light went through an affine transform [3, 4]."""
    light, behind = light_of(picture)
    changed = light @ transform[:, :3].T + picture.alphas * transform[:, 3]
    return changed if behind is None else changed + behind


class _Unseen(Part):
    """The exposure of one photograph, which starts as that of the average."""

    def __init__(self) -> None:
        self._transform = torch.eye(3, 4)

    def initialize(self, num: int, device: torch.device) -> None:
        self._transform = self._transform.to(device).requires_grad_()

    def parameters(self) -> Sequence[Group]:
        return [of_unseen("transform", self._transform, 0.2)]

    def at_test(self, picture: Picture, view: int | None) -> Tensor:
        return exposed(picture, self._transform)


def _matrix(name: str, rows: Any) -> Tensor:
    try:
        matrix = torch.tensor(rows, dtype=torch.float32)
    except (TypeError, ValueError):
        matrix = torch.zeros(0)
    if matrix.shape != (3, 4) or not bool(matrix.isfinite().all()):
        raise ValueError(f"the exposure of {name} is not three rows of four finite numbers")
    return matrix
