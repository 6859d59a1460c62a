"""Which channels an image has, and what becomes of them after blending."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def channels(colors: Tensor, depths: Tensor, render_mode: str) -> Tensor:
    """What is blended, [..., N, X]: colours [..., N, D], depths [..., N] or both. Distances take the place of
    depths later."""
    if render_mode in ("D", "ED", "d", "Ed"):
        return depths[..., None]
    if render_mode in ("RGB+D", "RGB+ED", "RGB-d", "RGB-Ed"):
        return torch.cat([colors, depths[..., None]], dim=-1)
    return colors


def over_background(rendered: Tensor, alphas: Tensor, backgrounds: Tensor, render_mode: str) -> Tensor:
    """Colours [..., C, H, W, X] in front of backgrounds [..., C, D]; nothing is behind the depth."""
    num_colors = backgrounds.shape[-1] if render_mode.startswith("RGB") else 0
    background = backgrounds.double()[..., None, None, :num_colors]
    colors = rendered[..., :num_colors] + (1 - alphas) * background
    return torch.cat([colors, rendered[..., num_colors:]], -1)


def expected_depth(rendered: Tensor, alphas: Tensor) -> Tensor:
    """The last channel as an average of the depths, not their sum."""
    return torch.cat([rendered[..., :-1], rendered[..., -1:] / alphas.clamp(min=1e-10)], dim=-1)


class Seen(NamedTuple):
    """Gaussians and cameras, [B, 1, N, ...] and [B, C, 1, ...], and the depths [B, C, N] of the splats."""

    means: Tensor
    covars: Tensor
    viewmats: Tensor
    depths: Tensor
    camera: str


def normals(seen: Seen) -> Tensor:
    """[B, C, N, 3]: unit eigenvectors of the covariance with the least eigenvalue, turned to the camera."""
    finite = seen.covars.isfinite().all(-1).all(-1)[..., None, None]
    axis = torch.linalg.eigh(torch.where(finite, seen.covars, torch.eye(3).double()))[1][..., 0]
    rotation, translation = seen.viewmats[..., :3, :3], seen.viewmats[..., :3, 3:]
    point = (rotation @ seen.means[..., None] + translation)[..., 0]  # in front of the camera
    ray = torch.tensor([0.0, 0.0, 1.0]).double().expand_as(point) if seen.camera == "ortho" else point
    facing = ((rotation @ axis[..., None])[..., 0] * ray).sum(-1, keepdim=True).detach()
    return torch.where(facing > 0, -axis, axis)


def inverse_depth(seen: Seen) -> Tensor:
    """[B, C, N, 1]; zero for culled splats."""
    return torch.where(seen.depths > 0, 1 / seen.depths.clamp(min=1e-30), 0.0)[..., None]


FURTHER = {"normals": normals, "inverse_depth": inverse_depth}
"""What is blended beside colours and depth."""
