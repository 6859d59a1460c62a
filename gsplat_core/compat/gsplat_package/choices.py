"""Names of gsplat 1.6 for what can be chosen, and what it says of a build."""

from __future__ import annotations

from typing import Literal

CameraModel = Literal["pinhole", "ortho", "fisheye", "ftheta"]
RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED", "d", "Ed", "RGB-d", "RGB-Ed"]
RasterizeMode = Literal["classic", "antialiased"]


def has_3dgs() -> bool:
    """3D Gaussians can be rasterized."""
    return True


def has_3dgut() -> bool:
    """`rasterization` has `with_ut` and `with_eval3d`."""
    return True


def has_2dgs() -> bool:
    """`rasterization_2dgs` is there."""
    return True


def has_adam() -> bool:
    """`SelectiveAdam` is there."""
    return True


def has_reloc() -> bool:
    """`compute_relocation` is there."""
    return True
