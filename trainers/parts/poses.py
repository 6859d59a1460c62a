"""Where each photograph was taken, learnt with the scene: `--optimize-poses`.

Poses that are a little wrong make a scene blurred. Here each training photograph has a twist of its own, six
numbers that move its camera within its own frame,

    V <- exp(w, v) V,    w [3] in radians, v [3] in lengths of the scene,

learnt by Adam together with the scene, as in BARF (Lin et al. 2021), nerfstudio and gsplat. A turn then
leaves the camera where it stands, and what is seen moves about as far by w as by v, so that one rate, which
falls exponentially, is right for both, in any units.

Each photograph has moments of its own: those of an Adam for all would carry on the cameras of the others.

All cameras moved together with the scene would see the same. So what the twists have in common, a rotation, a
translation and a scaling of the world, is taken out of them, as far as they are small: the scene stays where
its points, maps of depth and the cameras of test views are. And a camera is held a little where it was, so
that one whose photograph says nothing about it stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gsplat_core import se3
from gsplat_core.pose_metrics import centers_of
from gsplat_core.ranges import NOT_NEGATIVE, POSITIVE, SHARE, check_ranges
from gsplat_core.scene.cameras import NEAR_PER_DISTANCE, Camera
from gsplat_core.scene.capture import Shot
from gsplat_core.scene.dataset import View
from trainers.parts.part import Group, Part, Rendering, of_unseen
from trainers.schedules import exponential
from trainers.views import Target

if TYPE_CHECKING:
    from trainers.config import TrainConfig


_UNSEEN_RATE = 3e-3
"""At which the pose of a test view is fitted, as `PosesConfig.rate`."""


@dataclass(frozen=True)
class PosesConfig:
    """Args:
        rate, rate_final: Adam's learning rate at the start and at the end of the run, in radians and in
            lengths of the scene.
        start: share of the run's steps after which cameras begin to move.
        weight: of the square of a camera's twist in the loss.

    Raises:
        ValueError: a number outside its range.
    """

    rate: Annotated[float, POSITIVE] = 5e-3
    rate_final: Annotated[float, POSITIVE] = 5e-5
    start: Annotated[float, SHARE] = 0.2
    weight: Annotated[float, NOT_NEGATIVE] = 0.1

    def __post_init__(self) -> None:
        check_ranges(self)


class Poses(Part):
    """`--optimize-poses`. Levenberg-Marquardt finishes a run with the poses that it finds."""

    settings: ClassVar[type[Any] | None] = PosesConfig

    def __init__(self, settings: PosesConfig, config: TrainConfig, views: Sequence[View]) -> None:
        self._settings = settings
        self._steps = config.steps
        self._names = [view.name for view in views]
        # The unit of translations: see NEAR_PER_DISTANCE.
        self._length = views[0].camera.near / NEAR_PER_DISTANCE if views else 1.0
        self._viewmats = np.array([view.camera.viewmat for view in views]).reshape(-1, 4, 4)
        self._twists = torch.zeros(len(views), 6)
        self._settled = False

    def initialize(self, num: int, device: torch.device) -> None:
        self._twists = self._twists.to(device, copy=True).requires_grad_(not self._settled)
        self._units = torch.tensor([1.0, 1.0, 1.0, *[self._length] * 3], device=device)
        common = common_twists(torch.from_numpy(self._viewmats), self._length)
        self._common = common.to(self._twists).reshape(-1, 6, common.shape[1])

    def parameters(self) -> Sequence[Group]:
        return [] if self._settled else [Group("twists", self._twists, self._rate, by_row=True)]

    def _rate(self, step: int) -> float:
        return exponential(self._settings.rate, self._settings.rate_final, step, self._steps)

    def _moves(self, step: int) -> bool:
        return self._settled or step > self._settings.start * self._steps

    def twist(self, view: int) -> Tensor:
        """[6] of a training view, in radians and scene units; its gradient is for this view alone."""
        twist = self._twists[view]
        if not self._settled:
            with torch.no_grad():
                common = self._common[view] @ torch.einsum("cij,ci->j", self._common, self._twists)
            twist = twist - common
        return twist * self._units

    def posed(self, step: int, target: Target) -> Target:
        if not self._moves(step):
            return target
        return replace(target, viewmat=se3.exp(self.twist(target.view)) @ target.viewmat)

    def loss(self, step: int, rendering: Rendering, target: Target) -> Tensor | None:
        if self._settled or not self._moves(step) or not self._settings.weight:
            return None
        return self._settings.weight * (self.twist(target.view) / self._units).square().sum()

    def camera_at_test(self, camera: Camera, view: int | None) -> Camera:
        return camera if view is None else replace(camera, viewmat=self._motion(view) @ camera.viewmat)

    def recorded(self, shot: Shot, view: int) -> Shot:
        return replace(shot, viewmat=self._motion(view) @ shot.viewmat)

    @torch.no_grad()
    def _motion(self, view: int) -> np.ndarray:
        return se3.exp(self.twist(view).double()).cpu().numpy()

    def for_unseen(self, view: View) -> Part:
        return _Unseen(view)

    @torch.no_grad()
    def result(self) -> dict[str, Any]:
        """The twists, in radians and scene units, by name of the photograph."""
        return {name: self.twist(view).tolist() for view, name in enumerate(self._names)}

    def settle(self, result: Mapping[str, Any]) -> None:
        """Photographs that the result does not name stay where they are."""
        for view, name in enumerate(self._names):
            if name in result:
                self._twists[view] = _twist(name, result[name])
        self._length, self._settled = 1.0, True


class _Unseen(Part):
    """The pose of one photograph that was not trained on."""

    def __init__(self, view: View) -> None:
        self._length = view.camera.near / NEAR_PER_DISTANCE

    def initialize(self, num: int, device: torch.device) -> None:
        self._free = torch.zeros(6, device=device, requires_grad=True)
        self._units = torch.tensor([1.0, 1.0, 1.0, *[self._length] * 3], device=device)

    def parameters(self) -> Sequence[Group]:
        return [of_unseen("twist", self._free, _UNSEEN_RATE)]

    def posed(self, step: int, target: Target) -> Target:
        return replace(target, viewmat=se3.exp(self._free * self._units) @ target.viewmat)

    @torch.no_grad()
    def camera_at_test(self, camera: Camera, view: int | None) -> Camera:
        motion = se3.exp((self._free * self._units).double()).cpu().numpy()
        return replace(camera, viewmat=motion @ camera.viewmat)


def common_twists(viewmats: Tensor, length: float) -> Tensor:
    """[6 C, at most 7] float64 orthonormal columns: how twists of C cameras [C, 4, 4], their translations in
    units of `length`, begin where all are moved as one, by a rotation, a translation or a scaling of the
    world."""
    rotations, centers = viewmats[:, :3, :3].double(), centers_of(viewmats.double())
    if not len(centers):
        return torch.zeros(0, 0, dtype=torch.float64)
    away = (rotations @ (centers - centers.mean(dim=0))[..., None])[..., 0] / length
    turns = torch.cat([rotations, -se3.hat(away) @ rotations], dim=1)  # about the mean of the centres
    shifts = torch.cat([torch.zeros_like(rotations), rotations], dim=1)
    scalings = torch.cat([torch.zeros_like(away), away], dim=1)[..., None]
    columns = torch.cat([turns, shifts, scalings], dim=2).flatten(0, 1)
    basis, sizes, _ = torch.linalg.svd(columns, full_matrices=False)
    return basis[:, sizes > 1e-6 * sizes[0]]


def _twist(name: str, values: Any) -> Tensor:
    try:
        twist = torch.tensor(values, dtype=torch.float32)
    except (TypeError, ValueError):
        twist = torch.zeros(0)
    if twist.shape != (6,) or not bool(twist.isfinite().all()):
        raise ValueError(f"the pose of {name} is not six finite numbers")
    return twist
