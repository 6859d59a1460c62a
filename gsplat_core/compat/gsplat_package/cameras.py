"""gsplat's steps of the projection on their own: differentiable, in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core import reference
from gsplat_core.arguments import check_choice
from gsplat_core.reference.cameras import Intrinsics

_MODELS = ("pinhole", "ortho", "fisheye")


def world_to_cam(means: Tensor, covars: Tensor, viewmats: Tensor) -> tuple[Tensor, Tensor]:
    """Gaussians in the axes of cameras.

    Args:
        means, covars: [..., N, 3] and [..., N, 3, 3] in the world.
        viewmats: [..., C, 4, 4].

    Returns:
        means [..., C, N, 3] and covariances [..., C, N, 3, 3].
    """
    rotation, translation = viewmats[..., None, :3, :3], viewmats[..., None, :3, 3]
    means_c = (rotation @ means[..., None, :, :, None])[..., 0] + translation
    return means_c, rotation @ covars[..., None, :, :, :] @ rotation.mT


def proj(
    means: Tensor, covars: Tensor, Ks: Tensor, width: int, height: int, camera_model: str = "pinhole"
) -> tuple[Tensor, Tensor]:
    """Gaussians in the axes of cameras, on their images (EWA).

    Args:
        means, covars: [..., C, N, 3] and [..., C, N, 3, 3].
        Ks: [..., C, 3, 3].
        width, height: of the images.
        camera_model: "pinhole", "ortho" or "fisheye" (equidistant).

    Returns:
        centres [..., C, N, 2] in pixels and covariances [..., C, N, 2, 2].

    Raises:
        ValueError: there is no such camera model here.
    """
    check_choice("camera_model", camera_model, _MODELS)
    camera = reference.CAMERAS[camera_model]
    fx, fy, cx, cy = (Ks[..., i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    lens = means.new_zeros(*Ks.shape[:-2], 1, len(camera.coefficients))
    intrinsics = Intrinsics(fx, fy, cx, cy, lens, width, height)
    pixels = camera.pixel(means, intrinsics)
    points = camera.linearized_at(means, intrinsics, 0.0).points
    rows = []
    for axis in (0, 1):
        # Each pixel depends on its own point alone.
        along = points if points.requires_grad else points.detach().requires_grad_()
        total = camera.pixel(along, intrinsics)[..., axis].sum()
        (row,) = torch.autograd.grad(total, along, create_graph=torch.is_grad_enabled())
        rows.append(row)
    jacobian = torch.stack(rows, dim=-2)
    return pixels, jacobian @ covars @ jacobian.mT


def persp_proj(means: Tensor, covars: Tensor, Ks: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """`proj` of pinhole cameras."""
    return proj(means, covars, Ks, width, height)
