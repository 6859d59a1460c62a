"""With which lens each photograph was taken, learnt with the scene: `--optimize-intrinsics`.

Photographs of one lens share what is learnt of it: a factor on both focal lengths, so that pixels stay as
wide as they are high or not, and a shift of the principal point,

    K <- K [[e^a, 0, x], [0, e^a, y], [0, 0, 1]],    a, x and y without unit,

and what is added to each coefficient of the distortion that the capture has one of (`coefficients`), where
photographs keep it (`--distortion keep`). They are of one lens where the capture says the same of it.

The lenses of photographs that were undistorted stay: their pixels were moved by the lens as it was given, and
what is learnt of the camera that is left would be true of no lens that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gsplat_core.ranges import POSITIVE, check_ranges
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.capture import Shot
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.optics import coefficient_names
from gsplat_core.scene.undistort import undistorts
from trainers.parts.part import Group, Part
from trainers.schedules import exponential
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


@dataclass(frozen=True)
class IntrinsicsConfig:
    """Args:
        rate, rate_final: Adam's learning rate at the start and at the end of the run.
        coefficients: whether those of the distortion are learnt, too.

    Raises:
        ValueError: a rate that is not positive.
    """

    rate: Annotated[float, POSITIVE] = 2e-4
    rate_final: Annotated[float, POSITIVE] = 2e-6
    coefficients: bool = True

    def __post_init__(self) -> None:
        check_ranges(self)


class Intrinsics(Part):
    """`--optimize-intrinsics`. Levenberg-Marquardt finishes a run with the lenses that it finds."""

    settings: ClassVar[type[Any] | None] = IntrinsicsConfig

    def __init__(self, settings: IntrinsicsConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._steps = config.steps
        self._names = [view.name for view in views]
        self._undistorted = sum(map(_is_undistorted, views))
        kept = [None if _is_undistorted(view) else _lens_of(view.camera) for view in views]
        self._lenses = {lens: number for number, lens in enumerate(dict.fromkeys(filter(None, kept)))}
        self._of_view = [None if lens is None else self._lenses[lens] for lens in kept]
        # Which coefficients are learnt, and by how much lenses differ from those that were given.
        given = [view.camera.lens for view in views]
        self._free = torch.zeros(len(self._lenses), 3 + max(map(len, given), default=0))
        self._learnt = torch.zeros(self._free.shape, dtype=torch.bool)
        for number, coefficients in zip(self._of_view, given, strict=True):
            if number is not None:
                known = [settings.coefficients and value != 0 for value in coefficients]
                self._learnt[number, : 3 + len(known)] = torch.tensor([True, True, True, *known])
        self._settled = False

    def prepare(self, dataset: Dataset, note: Callable[[str], None]) -> None:
        if self._undistorted:
            which = "Those" if self._undistorted == len(self._names) else f"Those of {self._undistorted:,}"
            note(
                f"warning: lenses whose photographs are undistorted stay as they are. {which} of the "
                f"{len(self._names):,} training photographs are; --distortion keep learns them, too."
            )

    def initialize(self, num: int, device: torch.device) -> None:
        self._free = self._free.to(device, copy=True).requires_grad_(not self._settled)
        self._learnt = self._learnt.to(device)

    def parameters(self) -> Sequence[Group]:
        if self._settled or not len(self._free):
            return []
        return [Group("lenses", self._free, self._rate, by_row=True)]

    def _rate(self, step: int) -> float:
        return exponential(self._settings.rate, self._settings.rate_final, step, self._steps)

    def _change(self, lens: int) -> tuple[Tensor, Tensor]:
        """The matrix [3, 3] that K is multiplied by, and what is added to coefficients [P]."""
        factor, x, y, *_ = change = self._free[lens].where(self._learnt[lens], 0.0)
        one, zero = torch.ones_like(factor), torch.zeros_like(factor)
        rows = [[factor.exp(), zero, x], [zero, factor.exp(), y], [zero, zero, one]]
        return torch.stack([torch.stack(row) for row in rows]), change[3:]

    def posed(self, step: int, target: Target) -> Target:
        number = self._of_view[target.view]
        return target if number is None else self.seen_through(number, target)

    def seen_through(self, number: int, target: Target) -> Target:
        """The photograph with one of the lenses that were learnt."""
        matrix, added = self._change(number)
        lens = target.lens
        return replace(
            target, K=target.K @ matrix, lens=None if lens is None else lens + added[: lens.shape[-1]]
        )

    def camera_at_test(self, camera: Camera, view: int | None) -> Camera:
        """Those of photographs that were not trained on, too, if they are of a lens that was."""
        number = self._lenses.get(_lens_of(camera)) if view is None else self._of_view[view]
        if number is None:
            return camera
        matrix, added = self._found(number)
        lens = tuple(value + more for value, more in zip(camera.lens, added, strict=False))
        return replace(camera, K=camera.K @ matrix, lens=lens)

    def recorded(self, shot: Shot, view: int) -> Shot:
        number, lens = self._of_view[view], shot.lens
        if number is None:
            return shot
        matrix, added = self._found(number)
        focal = (lens.focal[0] * matrix[0, 0], lens.focal[1] * matrix[1, 1])
        center = (
            lens.center[0] + lens.focal[0] * matrix[0, 2],
            lens.center[1] + lens.focal[1] * matrix[1, 2],
        )
        more = dict(zip(coefficient_names(lens), added, strict=False))
        names = lens.model.params[lens.model.num_focals + 2 :]
        coefficients = tuple(
            value + more.get("k1" if name == "k" else name, 0.0)
            for name, value in zip(names, lens.coefficients, strict=True)
        )
        return replace(shot, lens=replace(lens, focal=focal, center=center, coefficients=coefficients))

    @torch.no_grad()
    def _found(self, number: int) -> tuple[np.ndarray, list[float]]:
        matrix, added = self._change(number)
        return matrix.double().cpu().numpy(), added.tolist()

    def for_unseen(self, view: View) -> Part | None:
        """With what else is fitted to a photograph, the lens that it shares, which is not."""
        number = self._lenses.get(_lens_of(view.camera))
        return None if number is None else _Unseen(self, number)

    @torch.no_grad()
    def result(self) -> dict[str, Any]:
        """a, x, y and what is added to coefficients, by name of the photograph."""
        free = self._free.where(self._learnt, 0.0).tolist()
        numbers = zip(self._names, self._of_view, strict=True)
        return {name: free[number] for name, number in numbers if number is not None}

    def settle(self, result: Mapping[str, Any]) -> None:
        """Lenses of which no photograph is named stay as they are."""
        for name, number in zip(self._names, self._of_view, strict=True):
            if name in result and number is not None:
                self._free[number] = _numbers(name, result[name], self._free.shape[1])
        self._settled = True


class _Unseen(Part):
    """The lens of one photograph that was not trained on."""

    def __init__(self, intrinsics: Intrinsics, number: int) -> None:
        self._intrinsics, self._number = intrinsics, number

    def posed(self, step: int, target: Target) -> Target:
        return self._intrinsics.seen_through(self._number, target)

    def camera_at_test(self, camera: Camera, view: int | None) -> Camera:
        return self._intrinsics.camera_at_test(camera, None)


def _is_undistorted(view: View) -> bool:
    return view.photo is not None and undistorts(view.photo, view.camera)


def _lens_of(camera: Camera) -> Hashable:
    """What photographs of one lens have in common."""
    return camera.model, camera.width, camera.height, camera.K.tobytes(), camera.lens


def _numbers(name: str, values: Any, count: int) -> Tensor:
    try:
        numbers = torch.tensor(values, dtype=torch.float32)
    except (TypeError, ValueError):
        numbers = torch.zeros(0)
    if numbers.shape != (count,) or not bool(numbers.isfinite().all()):
        raise ValueError(f"the lens of {name} is not {count} finite numbers")
    return numbers
