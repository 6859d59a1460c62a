"""How splats are made and drawn, whatever the scene and the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gsplat_core.render.camera_types import UnscentedTransformParameters
from gsplat_core.render.variants import EVERY_RESPONSE
from gsplat_core.scene.metadata import RAY_STEP, Metadata

TILE_SIZES = (8, 16, 32)

ORDERS = ("global", "pixel")
"""In which order a pixel blends its splats, by their numbers; csrc/raster/order.h has the same."""

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
        unscented: whether splats have the mean and the covariance of sigma points that the camera maps (the
            unscented transform, Wu et al. 2025, "3DGUT"), instead of those of its linearization.
        ut_alpha, ut_beta, ut_kappa: alpha, beta and kappa of the unscented transform; the sigma points lie
            alpha sqrt(3 + kappa) standard deviations away. alpha^2 <= beta, and kappa > -3.
        in_image_margin_factor: how many sizes of the image outside of it a sigma point may appear, for ...
        require_all_sigma_points_valid: whether a Gaussian is drawn if all of its sigma points appear there,
            or if any of them does.
        bounds_only: whether the splats of `unscented` only tell where to look for Gaussians, as a response
            along rays wants it. They have no derivative then, are not compensated by `antialiased`, and
            cover the image if the camera does not see all sigma points.
        order: in which order a pixel blends its splats: "global", that of the depths of their centres, or
            "pixel", that of the depths at which the pixel's ray sees most of them (docs/orders.md).
        ray_step: between the samples of rays that are cast through a density, scene units
            (docs/raygauss.md).

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
    unscented: bool = False
    ut_alpha: float = 1.0
    ut_beta: float = 2.0
    ut_kappa: float = 0.0
    in_image_margin_factor: float = 0.1
    require_all_sigma_points_valid: bool = False
    bounds_only: bool = False
    order: str = "global"
    ray_step: float = RAY_STEP

    def __post_init__(self) -> None:
        for name in FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"argument {name!r} must be true or false, got {getattr(self, name)!r}")
        if self.order not in ORDERS:
            raise ValueError(f"argument 'order' must be 'global' or 'pixel', got {self.order!r}")
        # Kept, because every stage asks for them.
        object.__setattr__(self, "_numbers", tuple(map(_number, FIELDS, vars(self).values())))
        for name in ("eps2d", "margin", "in_image_margin_factor"):
            if getattr(self, name) < 0:
                raise ValueError(f"argument {name!r} must not be negative, got {getattr(self, name)}")
        if not 0 < self.ray_step < math.inf:
            raise ValueError(f"argument 'ray_step' must be positive and finite, got {self.ray_step}")
        if not 0 < self.max_alpha < 1:
            raise ValueError(f"argument 'max_alpha' must lie between 0 and 1, got {self.max_alpha}")
        if self.tile_size not in TILE_SIZES:
            raise ValueError(f"argument 'tile_size' must be 8, 16 or 32, got {self.tile_size}")
        if not self.ut_alpha > 0:
            raise ValueError(f"argument 'ut_alpha' must be positive, got {self.ut_alpha}")
        if not self.ut_beta >= self.ut_alpha**2:
            raise ValueError(
                f"argument 'ut_beta' must be at least the square of 'ut_alpha', {self.ut_alpha**2:g}, "
                f"got {self.ut_beta}"
            )
        if not self.ut_kappa > -3:
            raise ValueError(f"argument 'ut_kappa' must be larger than -3, got {self.ut_kappa}")

    def for_response(self, name: str) -> RenderSettings:
        """As splats of a response are drawn: those that are integrated over the pixel are not widened by
        `eps2d`, and are seen where only the pixel's corner reaches them; of those along rays, splats are only
        bounds.

        Raises:
            ValueError: `antialiased` would compensate for what is not done.
        """
        if not (EVERY_RESPONSE[name].integrates or EVERY_RESPONSE[name].along_rays):
            return self
        if self.antialiased:
            what = "integrated over the pixel" if EVERY_RESPONSE[name].integrates else "found along its ray"
            raise ValueError(
                f"argument 'rasterize_mode' must not be 'antialiased' with the response {name!r}, which is "
                f"{what}: there is no filter to compensate for"
            )
        if EVERY_RESPONSE[name].along_rays:
            return replace(self, bounds_only=self.unscented)
        return replace(self, eps2d=WINDOW_FILTER, margin=math.sqrt(0.5))

    def with_unscented(self, wanted: bool, params: UnscentedTransformParameters | None) -> RenderSettings:
        """With the unscented transform, if it is wanted, by its numbers; None for the usual ones.

        Raises:
            ValueError: there are numbers for what is not wanted, or they do not fit.
        """
        if not wanted:
            if params is not None:
                raise ValueError("argument 'ut_params' needs with_ut=True")
            return self
        if params is None:
            return replace(self, unscented=True)
        return replace(
            self,
            unscented=True,
            ut_alpha=params.alpha,
            ut_beta=params.beta,
            ut_kappa=params.kappa,
            in_image_margin_factor=params.in_image_margin_factor,
            require_all_sigma_points_valid=params.require_all_sigma_points_valid,
        )

    def numbers(self) -> tuple[float, ...]:
        """One number per field, in the order of the fields, as the operators take them."""
        numbers: tuple[float, ...] = self._numbers  # type: ignore[attr-defined]
        return numbers

    def as_trained(self, scene: Metadata) -> RenderSettings:
        """As a scene wants to be drawn: antialiased or not, and with its screen filter, in its order and with
        its splats, if these are unusual ones."""
        eps2d = self.eps2d if scene.eps2d == USUAL.eps2d else scene.eps2d
        order = "pixel" if scene.pixel_order else self.order
        unscented = scene.unscented or self.unscented
        step = self.ray_step if scene.ray_step == USUAL.ray_step else scene.ray_step
        wanted = (scene.antialiased, eps2d, order, unscented, step)
        if (self.antialiased, self.eps2d, self.order, self.unscented, self.ray_step) == wanted:
            return self
        return replace(
            self, antialiased=scene.antialiased, eps2d=eps2d, order=order, unscented=unscented, ray_step=step
        )

    def from_near(self, near: float) -> RenderSettings:
        """With another near plane, and a far plane that is at least as many times farther away as usual: in
        scenes of large units all would lie behind that of the usual ones."""
        far = max(self.far_plane, near * (USUAL.far_plane / USUAL.near_plane))
        return replace(self, near_plane=near, far_plane=far)


FIELDS = tuple(name for name in RenderSettings.__dataclass_fields__ if name != "ray_step")
"""The names of the numbers; what is no field of the rasterizer comes last."""

FLAGS = ("antialiased", "unscented", "require_all_sigma_points_valid", "bounds_only")
"""Those that are true or false."""


def _number(name: str, value: object) -> float:
    if name == "order":
        return float(ORDERS.index(str(value)))
    if not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"argument {name!r} must be a number, got {value!r}")
    return float(value)


USUAL = RenderSettings()
