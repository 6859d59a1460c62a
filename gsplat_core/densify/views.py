"""The training photographs as strategies see them, and the current scene seen from the same places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from gsplat_core.scene.cameras import DEFAULT_NEAR


@dataclass(frozen=True, eq=False)
class Lens:
    """Where a photograph was taken from, as tensors.

    Args:
        viewmat: [4, 4] world to camera; x right, y down, z forward.
        K: [3, 3] intrinsics in pixels; the centre of the first pixel is (0.5, 0.5).
        width, height: in pixels.
        near: what is nearer along the viewing axis is not drawn, in scene units.
        model: how points become pixels, one of `gsplat_core.scene.optics.OPTICS`.
        coefficients: what the model has beyond K.
    """

    viewmat: Tensor
    K: Tensor
    width: int
    height: int
    near: float = DEFAULT_NEAR
    model: str = "pinhole"
    coefficients: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Shares:
    """What each Gaussian contributes to one view.

    Args:
        weights: [N] sum of its blending weights over the pixels.
        pixels: [N] number of pixels it contributes to.
        largest: [N] its largest blending weight at any pixel.
        radii: [N] larger half extent in pixels, 0 where it is not in the image.
        depths: [N] along the viewing axis.
    """

    weights: Tensor
    pixels: Tensor
    largest: Tensor
    radii: Tensor
    depths: Tensor


class Views(Protocol):
    """Photographs by number, 0 to `len(views)` - 1, and renderings of a scene from their cameras.

    `gsplat_core.densify.rendered_views.RenderedViews` is the one made of this package's rasterizer; other
    projects may bring their own.
    """

    def __len__(self) -> int: ...

    def lens(self, index: int) -> Lens:
        """The camera."""

    def points_seen(self, index: int) -> tuple[Tensor, Tensor]:
        """Ids [S], ascending, and positions [S, 3] of the triangulated points that a photograph sees.

        Empty if the reconstruction does not tell. A point has the same id in all views.
        """

    def photograph(self, index: int) -> Tensor:
        """[H, W, 3] float32 in [0, 1]."""

    def image(self, params: Mapping[str, Tensor], index: int) -> Tensor:
        """[H, W, 3] the scene rendered."""

    def depth(self, params: Mapping[str, Tensor], index: int) -> tuple[Tensor, Tensor]:
        """[H, W] expected depth, along the viewing axis or as the camera's model has it, in scene units, and
        [H, W] alpha."""

    def shares(self, params: Mapping[str, Tensor], index: int) -> Shares:
        """What each Gaussian contributes."""

    def weighted_shares(self, params: Mapping[str, Tensor], index: int, importance: Tensor) -> Tensor:
        """[N] sum of each Gaussian's blending weights, pixels weighted by importance [H, W]."""
