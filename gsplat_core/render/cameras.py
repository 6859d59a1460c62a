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
from gsplat_core.render.variants import CAMERAS
from gsplat_core.scene.cameras import Camera


class Posed(Protocol):
    """One camera, its matrices as arrays or tensors: `gsplat_core.scene.cameras.Camera`,
    `gsplat_core.densify.views.Lens`, a photograph with the camera that took it. A pinhole camera unless it
    has a `model`, and the coefficients of that as `lens`."""

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
        model: of all of them, one of `gsplat_core.render.variants.CAMERAS`.
        lens: [C, P] float32 coefficients that the model has beyond Ks; None where it has none.
    """

    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int
    near: float | None = None
    model: str = "pinhole"
    lens: Tensor | None = None

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
        viewmat = torch.as_tensor(camera.viewmat, dtype=torch.float32, device=device)
        K = torch.as_tensor(camera.K, dtype=torch.float32, device=device)
        model: str = getattr(camera, "model", "pinhole")
        lens: Tensor | None = None
        if CAMERAS[model]:
            coefficients = getattr(camera, "lens")  # noqa: B009
            lens = torch.as_tensor(coefficients, dtype=torch.float32, device=device).reshape(1, -1)
        return cls(
            viewmat.reshape(1, 4, 4),
            K.reshape(1, 3, 3),
            camera.width,
            camera.height,
            getattr(camera, "near", None),
            model,
            lens,
        )

    @classmethod
    def together(cls, cameras: Sequence[Posed], device: torch.device) -> Cameras:
        """Cameras of one image size, near plane and model.

        Raises:
            ValueError: they are not.
        """
        first, *others = each = [cls.of(camera, device) for camera in cameras]
        alike = (first.width, first.height, first.near, first.model)
        for other in others:
            if (other.width, other.height, other.near, other.model) != alike:
                raise ValueError(
                    f"{first.model} cameras with images of {first.width} x {first.height} and the near plane "
                    f"{first.near} cannot be rendered together with {other.model} cameras with "
                    f"{other.width} x {other.height} and {other.near}"
                )
        if not others:
            return first
        return replace(
            first,
            viewmats=torch.cat([camera.viewmats for camera in each]),
            Ks=torch.cat([camera.Ks for camera in each]),
            lens=None if first.lens is None else torch.cat([c.lens for c in each if c.lens is not None]),
        )

    def applied_to(self, settings: RenderSettings) -> RenderSettings:
        """The settings with the cameras' near plane, if they have one; see `RenderSettings.from_near`."""
        if self.near is None or self.near == settings.near_plane:
            return settings
        return _with_near_plane(settings, self.near)


@lru_cache(maxsize=64)
def _with_near_plane(settings: RenderSettings, near: float) -> RenderSettings:
    return settings.from_near(near)
