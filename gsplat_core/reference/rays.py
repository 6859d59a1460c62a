"""The rays of pixels: where the light comes from that they see."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.reference.cameras import CAMERAS, Intrinsics
from gsplat_core.reference.unprojection import directions


def pixel_rays(camera_model: str, viewmat: Tensor, intrinsics: Intrinsics) -> tuple[Tensor, Tensor]:
    """Origins and directions [P, 3] in the world of the rays through the centres of the P pixels of a camera;
    the direction is zero where a pixel has none.

    Args:
        viewmat: [4, 4] world to camera.
        intrinsics: of this camera alone.
    """
    rows, columns = torch.meshgrid(
        torch.arange(intrinsics.height), torch.arange(intrinsics.width), indexing="ij"
    )
    pixels = torch.stack([columns, rows], dim=-1).reshape(-1, 2).double() + 0.5
    zeros = torch.zeros(len(pixels), 1, dtype=torch.float64)
    if camera_model in ("pinhole", "ortho"):
        centre = torch.stack([intrinsics.cx, intrinsics.cy], dim=-1)
        at = (pixels - centre) / torch.stack([intrinsics.fx, intrinsics.fy], dim=-1)
        on_plane, ahead = torch.cat([at, zeros], dim=-1), torch.tensor([0.0, 0.0, 1.0]).double()
        if camera_model == "pinhole":
            origins, towards = torch.zeros_like(on_plane), on_plane + ahead
        else:
            origins, towards = on_plane, ahead.expand_as(on_plane)
    else:
        towards = directions(CAMERAS[camera_model], pixels, intrinsics)
        origins = torch.zeros_like(towards)
    turn, shift = viewmat[:3, :3], viewmat[:3, 3]
    return (origins - shift) @ turn, towards @ turn
