"""Where pixels have to look for Gaussians that are dense in an ellipsoid and nowhere else.

The image of an ellipsoid in front of a pinhole camera is an ellipse, whose dual conic is
K (q A A^T - p p^T) K^T, with its centre p and its half-axes sqrt(q) A in the camera's axes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.render.ellipses import ellipses_in_image
from gsplat_core.render.rays import LEAST_SCALE

CAMERAS = ("pinhole", "ortho")

_ROUNDING = 1e-5
"""By which share bounds of distances are wider than they would have to be."""


class Ellipsoids(NamedTuple):
    """Of each camera and Gaussian, without a derivative; zero where a Gaussian is not visible."""

    visible: Tensor  # [C, N]
    middles: Tensor  # [C, N, 2] of ellipses that hold all pixels that see it
    shapes: Tensor  # [C, N, 3] of these ellipses, at the level 1
    radii: Tensor  # [C, N, 2] int32 pixels
    reaches: Tensor  # [C, N, 2] from how far away to how far away rays may meet it


@torch.no_grad()
def seen_ellipsoids(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    levels: Tensor,
    camera: str,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near: float,
    far: float,
) -> Ellipsoids:
    """
    Args:
        means, quats, scales: [N, 3], [N, 4] and [N, 3].
        levels: [N] the square of how many standard deviations the ellipsoid's half-axes are; nothing is seen
            of what has no positive one.
        camera: the model of all cameras, one of `CAMERAS`.
        viewmats, Ks: [C, 4, 4] rigid and [C, 3, 3].
        near, far: between which distances along rays something can be seen.
    """
    means, quats, scales, levels, viewmats, Ks = (
        t.double() for t in (means, quats, scales, levels, viewmats, Ks)
    )
    turn = viewmats[:, None, :3, :3]
    axes = rotation_matrices(quats) * scales.clamp(min=LEAST_SCALE)[:, None] * levels.sqrt()[:, None, None]
    there = axes.isfinite().all(-1).all(-1) & means.isfinite().all(-1) & (levels > 0)
    axes = torch.where(there[:, None, None], axes, 0.0)
    centre = (turn @ torch.where(there[:, None], means, 0.0)[..., None])[..., 0] + viewmats[:, None, :3, 3]
    axes = turn @ axes  # [C, N, 3, 3] half-axes as columns
    largest = axes.square().sum(-2).amax(-1).sqrt()

    def support(normals: Tensor) -> Tensor:
        """[C, N] how far an ellipsoid reaches from its centre, times the length of the normals."""
        return (axes.mT @ normals[..., None])[..., 0].norm(dim=-1)

    ahead = centre.new_tensor([0.0, 0.0, 1.0]).expand_as(centre)
    fx, fy, cx, cy = (Ks[:, None, i, j] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    if camera == "ortho":
        depth, thick = centre[..., 2], support(ahead)
        reaches = torch.stack([depth - thick, depth + thick], dim=-1)
        focal = torch.stack([fx, fy], dim=-1)
        middle = focal * centre[..., :2] + torch.stack([cx, cy], dim=-1)
        root = focal[..., None] * axes[..., :2, :]
        matrix = root @ root.mT
        visible = there.expand(len(viewmats), -1)
    else:
        distance = centre.norm(dim=-1)
        to_it = centre / distance.clamp(min=1e-30)[..., None]
        reaches = torch.stack([distance - support(to_it), distance + largest], dim=-1)
        visible = there & (centre[..., 2] + support(ahead) > 0)
        zero = torch.zeros_like(fx)
        for border in ((fx, zero, cx), (-fx, zero, width - cx), (zero, fy, cy), (zero, -fy, height - cy)):
            inwards = torch.stack(border, dim=-1).expand_as(centre)
            visible &= (inwards * centre).sum(-1) + support(inwards) > 0
        on_screen, root = (Ks[:, None] @ centre[..., None])[..., 0], Ks[:, None] @ axes
        dual = root @ root.mT - on_screen[..., :, None] * on_screen[..., None, :]
        # Where a part of it is not in front of the camera, it may be seen anywhere.
        in_front = dual[..., 2, 2] < -1e-6 * on_screen[..., 2] ** 2
        dual = dual / torch.where(in_front, dual[..., 2, 2], -1.0)[..., None, None]
        size = centre.new_tensor([width, height])
        middle = torch.where(in_front[..., None], dual[..., :2, 2], 0.5 * size)
        matrix = middle[..., :, None] * middle[..., None, :] - dual[..., :2, :2]
        everywhere = size.square().sum() * torch.eye(2, dtype=size.dtype, device=size.device)
        matrix = torch.where(in_front[..., None, None], matrix, everywhere)
    # And what rounding may do.
    wider = 0.01 + 1e-5 * matrix.diagonal(dim1=-2, dim2=-1).sum(-1).abs()
    matrix = matrix + wider[..., None, None] * torch.eye(2, dtype=wider.dtype, device=wider.device)
    slack = _ROUNDING * (reaches.abs().amax(-1) + largest)
    reaches = torch.stack([reaches[..., 0] - slack, reaches[..., 1] + slack], dim=-1)
    visible = visible & (reaches[..., 1] >= near) & (reaches[..., 0] < far)
    found = ellipses_in_image(visible, middle, matrix, torch.ones_like(wider), width, height)
    return Ellipsoids(
        found.visible,
        torch.where(found.visible[..., None], middle, 0.0).float(),
        found.shapes.float(),
        found.radii,
        torch.where(found.visible[..., None], reaches, 0.0).float(),
    )
