"""Cameras as the rasterizer takes them: the one place where they become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from gsplat_core.render.settings import RenderSettings
from gsplat_core.scene.cameras import Camera


class Posed(Protocol):
    """One camera, its matrices as arrays or tensors: `gsplat_core.scene.cameras.Camera`,
    `gsplat_core.densify.views.Lens`, a photograph with the camera that took it."""

    @property
    def viewmat(self) -> Any:
        """[4, 4] or [1, 4, 4] world to camera"""

    @property
    def K(self) -> Any:
        """[3, 3] or [1, 3, 3] pixels"""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


# What was made of cameras that stay as they are, by device. On a GPU this spares waiting for it: their
# matrices are looked at once (gsplat_core.pinhole).
_made: WeakKeyDictionary[Camera, dict[torch.device, Cameras]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Cameras:
    """C cameras whose images have one size.

    Args:
        viewmats: [C, 4, 4] float32 world to camera.
        Ks: [C, 3, 3] float32 pixels.
        width, height: in pixels.
        near: what is nearer along the viewing axis is not drawn, in scene units. None: the settings say.
    """

    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int
    near: float | None = None

    @classmethod
    def of(cls, camera: Posed | Cameras, device: torch.device) -> Cameras:
        """One camera on a device; several remain what they are."""
        if isinstance(camera, Cameras):
            return camera
        if not isinstance(camera, Camera):
            return cls._of(camera, device)
        made = _made.setdefault(camera, {})
        if device not in made:
            made[device] = cls._of(camera, device)
        return made[device]

    @classmethod
    def _of(cls, camera: Posed, device: torch.device) -> Cameras:
        viewmat, K = (
            torch.as_tensor(matrix, dtype=torch.float32, device=device)
            for matrix in (camera.viewmat, camera.K)
        )
        return cls(
            viewmat.reshape(1, 4, 4),
            K.reshape(1, 3, 3),
            camera.width,
            camera.height,
            getattr(camera, "near", None),
        )

    @classmethod
    def together(cls, cameras: Sequence[Posed], device: torch.device) -> Cameras:
        """Cameras of one image size and near plane.

        Raises:
            ValueError: they are not.
        """
        first, *others = each = [cls.of(camera, device) for camera in cameras]
        alike = (first.width, first.height, first.near)
        for other in others:
            if (other.width, other.height, other.near) != alike:
                raise ValueError(
                    f"cameras with images of {first.width} x {first.height} and the near plane {first.near} "
                    f"cannot be rendered together with {other.width} x {other.height} and {other.near}"
                )
        if not others:
            return first
        return replace(
            first,
            viewmats=torch.cat([camera.viewmats for camera in each]),
            Ks=torch.cat([camera.Ks for camera in each]),
        )

    def applied_to(self, settings: RenderSettings) -> RenderSettings:
        """The settings with the cameras' near plane, if they have one."""
        if self.near is None or self.near == settings.near_plane:
            return settings
        return _with_near_plane(settings, self.near)


@lru_cache(maxsize=64)
def _with_near_plane(settings: RenderSettings, near: float) -> RenderSettings:
    return replace(settings, near_plane=near)
