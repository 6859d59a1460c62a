"""Pixels, rays and points of one camera; where rays of two cameras meet."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.densify.views import Lens
from gsplat_core.scene.optics import optics


def project(lens: Lens, points: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels [M, 2] and depths [M] of points [M, 3]. Pixels mean nothing where the depth is not positive;
    they are NaN where another camera than a pinhole does not see the point."""
    seen = points @ lens.viewmat[:3, :3].T.to(points) + lens.viewmat[:3, 3].to(points)
    if lens.model != "pinhole":
        known, local = optics(lens.model, lens.K, lens.coefficients), seen.double().cpu().numpy()
        pixels, depths = (torch.from_numpy(values) for values in (known.pixels(local), known.depths(local)))
        return pixels.to(points), depths.to(points)
    depth = seen[:, 2]
    homogeneous = seen @ lens.K.T.to(points)
    return homogeneous[:, :2] / torch.where(depth.abs() > 1e-12, depth, 1e-12)[:, None], depth


def inside(lens: Lens, pixels: Tensor) -> Tensor:
    """[M] whether pixels [M, 2] lie in the image."""
    size = pixels.new_tensor([lens.width, lens.height])
    return ((pixels >= 0) & (pixels < size)).all(dim=1)


def center(lens: Lens) -> Tensor:
    """[3] the camera's position."""
    return -lens.viewmat[:3, :3].T @ lens.viewmat[:3, 3]


def axis(lens: Lens) -> Tensor:
    """[3] the viewing direction, a unit vector."""
    return lens.viewmat[2, :3]


def rays(lens: Lens, pixels: Tensor) -> Tensor:
    """[M, 3] directions in the world through pixels [M, 2], as long as to have the depth 1, so that
    center + depth x direction is the point at that depth. NaN where no ray arrives."""
    if lens.model != "pinhole":
        known = optics(lens.model, lens.K, lens.coefficients)
        local = torch.from_numpy(known.rays(pixels.double().cpu().numpy())).to(pixels)
        return local @ lens.viewmat[:3, :3].to(pixels)
    homogeneous = torch.nn.functional.pad(pixels, (0, 1), value=1.0)
    return homogeneous @ torch.linalg.inv(lens.K).T.to(pixels) @ lens.viewmat[:3, :3].to(pixels)


def closest_points(
    origin_a: Tensor, rays_a: Tensor, origin_b: Tensor, rays_b: Tensor
) -> tuple[Tensor, Tensor]:
    """Where pairs of rays come closest to each other.

    Args:
        origin_a, origin_b: [3] where the rays start.
        rays_a, rays_b: [M, 3] directions.

    Returns:
        points on the first and on the second rays, [K, 3] each, of the K <= M pairs that are not nearly
        parallel and come closest in front of both origins.
    """
    normal = torch.linalg.cross(rays_a, rays_b)
    squared = normal.square().sum(dim=1)
    between = (origin_b - origin_a).expand_as(rays_a)
    safe = squared.clamp(min=torch.finfo(squared.dtype).tiny)
    along_a = (torch.linalg.cross(between, rays_b) * normal).sum(dim=1) / safe
    along_b = (torch.linalg.cross(between, rays_a) * normal).sum(dim=1) / safe
    lengths = rays_a.square().sum(dim=1) * rays_b.square().sum(dim=1)
    meet = (squared > 1e-8 * lengths) & (along_a > 0) & (along_b > 0)
    points_a = origin_a + along_a[:, None] * rays_a
    points_b = origin_b + along_b[:, None] * rays_b
    return points_a[meet], points_b[meet]
