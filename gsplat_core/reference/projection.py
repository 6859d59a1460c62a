"""From Gaussians to splats on the image planes, and which of them are drawn."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.reference.cameras import Camera, Intrinsics
from gsplat_core.reference.filters import dilate
from gsplat_core.reference.responses import MIN_ALPHA, Response
from gsplat_core.reference.unscented import Unscented, moments

AHEAD = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


class Splats(NamedTuple):
    """Gaussians on the image planes, [B, C, N, ...]."""

    means2d: Tensor
    conics: Tensor  # inverse 2D covariance: xx, xy, yy
    depths: Tensor
    opacities: Tensor
    radii: Tensor  # half extents of the box around alpha >= 1/255, whole pixels; 0 where culled
    visible: Tensor
    doubtful: Tensor


def project(
    means: Tensor,
    covars: Tensor,
    roots: Tensor | None,
    opacities: Tensor,
    extras: Tensor,
    viewmats: Tensor,
    intrinsics: Intrinsics,
    camera: Camera,
    response: Response,
    near: float,
    far: float,
    radius_clip: float,
    eps2d: float,
    antialiased: bool,
    unscented: Unscented | None,
    band: float,
) -> Splats:
    """Kerbl et al. (2023), equation 5, or by `unscented` with `roots` of the covariances. Gaussians
    [B, 1, N, ...] and cameras [B, C, 1, ...]."""
    rotation, translation = viewmats[..., :3, :3], viewmats[..., :3, 3]
    points = (rotation @ means[..., None])[..., 0] + translation
    depths = camera.depth(points)
    finite = means.isfinite().all(-1) & covars.isfinite().all((-2, -1))
    finite = (finite & opacities.isfinite() & extras.isfinite().all(-1)).expand_as(depths)
    visible = finite & (depths >= near) & (depths <= far)
    # A harmless point stands in for one that is not even finite.
    seen = camera.sees(torch.where(visible[..., None], points, AHEAD), intrinsics, band)
    visible = visible & seen.visible

    # From here on a harmless Gaussian stands in for a culled one, because 0 times infinity spoils gradients.
    points = torch.where(visible[..., None], points, AHEAD)
    covars = torch.where(visible[..., None, None], covars, torch.eye(3, dtype=torch.float64))
    opacities = torch.where(visible, opacities, 0.0)

    if unscented is None:
        means2d = camera.pixel(points, intrinsics)
        linearized_at, doubtful = camera.linearized_at(points, intrinsics, band)
        to_image = camera.jacobian(linearized_at, intrinsics) @ rotation
        covars2d = to_image @ covars @ to_image.mT
    else:
        assert roots is not None
        axes = rotation @ torch.where(visible[..., None, None], roots, 0.0)
        found = moments(points, axes, intrinsics, camera, unscented, band)
        means2d, covars2d, doubtful = found.means, found.covariances, found.doubtful
        visible = visible & found.seen
    filtered = dilate(covars2d, eps2d, antialiased, visible)
    visible = visible & (filtered.determinants > 0)
    det = torch.where(visible, filtered.determinants, 1.0)
    xx, xy, yy = (filtered.covars2d[..., i, j] for i, j in ((0, 0), (0, 1), (1, 1)))
    conics = torch.stack([yy / det, -xy / det, xx / det], dim=-1)
    opacities = opacities * filtered.compensation
    doubtful = doubtful | filtered.doubtful | seen.doubtful

    # alpha >= 1/255 only inside an ellipse, whose box has these half extents.
    variances = torch.stack([xx, yy], dim=-1).detach()
    reach = response.reach(opacities, extras.expand(*opacities.shape, -1)).reshape(opacities.shape)
    extent = reach[..., None] * variances.clamp(min=0).sqrt() + response.margin
    radii = extent.ceil()
    size = torch.tensor([intrinsics.width, intrinsics.height], dtype=torch.float64)
    inside = ((means2d + radii > 0) & (means2d - radii < size)).all(-1)
    visible = visible & (opacities >= MIN_ALPHA) & (radii > radius_clip).any(-1) & inside
    doubtful = doubtful | ((depths / near - 1).abs() < band) | ((depths / far - 1).abs() < band)
    if radius_clip > 0:
        doubtful = doubtful | ((extent.amax(-1) - math.floor(radius_clip)).abs() < band * radius_clip)

    def keep(tensor: Tensor) -> Tensor:
        return torch.where(visible[..., None], tensor, 0.0)

    return Splats(
        keep(means2d), keep(conics), keep(camera.depth(points)[..., None])[..., 0],
        keep(opacities[..., None])[..., 0], keep(radii).int(), visible, doubtful,
    )  # fmt: skip
