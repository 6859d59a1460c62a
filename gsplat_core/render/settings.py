"""How splats are made and drawn, whatever the scene and the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gsplat_core.render.variants import RESPONSES
from gsplat_core.scene.metadata import Metadata

TILE_SIZES = (8, 16, 32)

WINDOW_FILTER = 1e-4
"""What is added to the variances instead of `eps2d` where splats are integrated over the pixel, so that flat
ones have an area (csrc/math/response/window.h)."""


@dataclass(frozen=True)
class RenderSettings:
    """The numbers that the stages of the rasterizer share.

    Args:
        eps2d: added to the diagonal of the projected covariance, in square pixels: 0.3 in 3DGS, 0.1 in
            Mip-Splatting.
        near_plane, far_plane: Gaussians whose centre is not between them along the viewing axis are culled.
        radius_clip: Gaussians of at most this many pixels are culled.
        antialiased: whether the opacity is lowered as `eps2d` makes a Gaussian larger (Mip-Splatting).
        max_alpha: cap of a splat's alpha; no gradient passes through the cap.
        tile_size: side of the tiles in pixels, one of `TILE_SIZES`.
        margin: how many pixels around the ellipse of its level a splat is seen; see `for_response`.

    Raises:
        ValueError: a value is of another kind or outside its range; the message names it.
    """

    # The order is that of the numbers; csrc/raster/settings.h has the same.
    eps2d: float = 0.3
    near_plane: float = 0.01
    far_plane: float = 1e10
    radius_clip: float = 0.0
    antialiased: bool = False
    max_alpha: float = 0.99
    tile_size: int = 16
    margin: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.antialiased, bool):
            raise ValueError(f"argument 'antialiased' must be true or false, got {self.antialiased!r}")
        # Kept, because every stage asks for them.
        object.__setattr__(self, "_numbers", tuple(map(_number, FIELDS, vars(self).values())))
        for name in ("eps2d", "margin"):
            if getattr(self, name) < 0:
                raise ValueError(f"argument {name!r} must not be negative, got {getattr(self, name)}")
        if not 0 < self.max_alpha < 1:
            raise ValueError(f"argument 'max_alpha' must lie between 0 and 1, got {self.max_alpha}")
        if self.tile_size not in TILE_SIZES:
            raise ValueError(f"argument 'tile_size' must be 8, 16 or 32, got {self.tile_size}")

    def for_response(self, name: str) -> RenderSettings:
        """As splats of a response are drawn: those that are integrated over the pixel are not widened by
        `eps2d`, and are seen where only the pixel's corner reaches them.

        Raises:
            ValueError: `antialiased` would compensate for what is not done.
        """
        if not RESPONSES[name].integrates:
            return self
        if self.antialiased:
            raise ValueError(
                f"argument 'rasterize_mode' must not be 'antialiased' with the response {name!r}, which is "
                "integrated over the pixel: there is no filter to compensate for"
            )
        return replace(self, eps2d=WINDOW_FILTER, margin=math.sqrt(0.5))

    def numbers(self) -> tuple[float, ...]:
        """One number per field, in the order of the fields, as the operators take them."""
        numbers: tuple[float, ...] = self._numbers  # type: ignore[attr-defined]
        return numbers

    def as_trained(self, scene: Metadata) -> RenderSettings:
        """As a scene wants to be drawn: antialiased or not, and with its screen filter, if that is an unusual
        one."""
        eps2d = self.eps2d if scene.eps2d == USUAL.eps2d else scene.eps2d
        if (self.antialiased, self.eps2d) == (scene.antialiased, eps2d):
            return self
        return replace(self, antialiased=scene.antialiased, eps2d=eps2d)

    def from_near(self, near: float) -> RenderSettings:
        """With another near plane, and a far plane that is at least as many times farther away as usual: in
        scenes of large units all would lie behind that of the usual ones."""
        far = max(self.far_plane, near * (USUAL.far_plane / USUAL.near_plane))
        return replace(self, near_plane=near, far_plane=far)


FIELDS = tuple(RenderSettings.__dataclass_fields__)
"""The names of the numbers."""


def _number(name: str, value: object) -> float:
    if not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"argument {name!r} must be a number, got {value!r}")
    return float(value)


USUAL = RenderSettings()
