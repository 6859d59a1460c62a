"""Cameras: from a point in front of the camera to a pixel. Axes as in OpenCV: x right, y down, z forward.

A camera states where a point appears. Its Jacobian there, by which a Gaussian becomes a splat (Zwicker et
al., "EWA Splatting", 2002), is taken by autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

OUTSIDE = 0.15  # how far outside of the image, in image sizes, the pinhole camera is still linearized


class Intrinsics(NamedTuple):
    """What is known about a camera besides its pose; tensors [..., 1] and [..., 1, P] go with points
    [..., N, 3]."""

    fx: Tensor
    fy: Tensor
    cx: Tensor
    cy: Tensor
    lens: Tensor  # the coefficients that a camera has beyond the four
    width: int
    height: int


class Linearization(NamedTuple):
    """Points [..., N, 3], and [..., N] whether float32 may have found others."""

    points: Tensor
    doubtful: Tensor


def where_they_are(points: Tensor, intrinsics: Intrinsics, band: float) -> Linearization:
    """The projection is linearized at the points themselves."""
    del intrinsics, band
    return Linearization(points, torch.zeros_like(points[..., 0], dtype=torch.bool))


def along_the_axis(points: Tensor) -> Tensor:
    """The depth z."""
    return points[..., 2]


@dataclass(frozen=True)
class Camera:
    """A camera sees what lies between the near and the far plane by its `depth`, and sorts by it."""

    pixel: Callable[[Tensor, Intrinsics], Tensor]  # points [..., N, 3] to pixels [..., N, 2]
    linearized_at: Callable[[Tensor, Intrinsics, float], Linearization] = where_they_are
    depth: Callable[[Tensor], Tensor] = along_the_axis
    coefficients: tuple[tuple[float, float], ...] = ()  # of `lens`: from where to where each is usual

    def jacobian(self, points: Tensor, intrinsics: Intrinsics) -> Tensor:
        """[..., N, 2, 3], differentiable by points and intrinsics."""
        with torch.enable_grad():
            if not points.requires_grad:
                points = points.detach().requires_grad_()
            rows = [
                torch.autograd.grad(coordinate.sum(), points, create_graph=True)[0]
                for coordinate in self.pixel(points, intrinsics).unbind(-1)
            ]
        return torch.stack(rows, dim=-2)


def pinhole(points: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Kerbl et al., "3D Gaussian Splatting for Real-Time Radiance Field Rendering" (2023), section 4."""
    x, y, z = points.unbind(-1)
    return torch.stack([intrinsics.fx * x / z + intrinsics.cx, intrinsics.fy * y / z + intrinsics.cy], dim=-1)


def near_the_image(points: Tensor, intrinsics: Intrinsics, band: float) -> Linearization:
    """The points moved sideways until they appear at most 0.15 image sizes outside the image: further out,
    the linearization would make splats that cover everything.

    These limits count as constants: no gradient reaches the intrinsics through them.
    """
    x, y, z = points.unbind(-1)

    def limited(ratio: Tensor, focal: Tensor, centre: Tensor, size: int) -> tuple[Tensor, Tensor]:
        lower = (-(centre + OUTSIDE * size) / focal).detach()
        upper = ((size - centre + OUTSIDE * size) / focal).detach()
        near_limit = ((ratio - lower).abs() < band * lower.abs()) | (
            (ratio - upper).abs() < band * upper.abs()
        )
        return torch.maximum(torch.minimum(ratio, upper), lower), near_limit

    ratio_x, doubtful_x = limited(x / z, intrinsics.fx, intrinsics.cx, intrinsics.width)
    ratio_y, doubtful_y = limited(y / z, intrinsics.fy, intrinsics.cy, intrinsics.height)
    return Linearization(torch.stack([ratio_x * z, ratio_y * z, z], dim=-1), doubtful_x | doubtful_y)


def ortho(points: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Rays parallel to the axis: fx and fy are pixels per unit of length."""
    x, y, _ = points.unbind(-1)
    return torch.stack([intrinsics.fx * x + intrinsics.cx, intrinsics.fy * y + intrinsics.cy], dim=-1)


CAMERAS = {"pinhole": Camera(pinhole, near_the_image), "ortho": Camera(ortho)}
