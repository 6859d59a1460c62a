"""The interface of ``fused_ssim`` (Mallick et al., "Taming 3DGS", 2024): a differentiable mean SSIM."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from gsplat_core.losses import l1_dssim


def fused_ssim(
    img1: Tensor, img2: Tensor, padding: Literal["same", "valid"] = "same", train: bool = True
) -> Tensor:
    """The mean SSIM of images in [0, 1], with a gradient of the first.

    Args:
        img1, img2: [B, 3, H, W] float32.
        padding: "same" or "valid", see :func:`gsplat_core.losses.l1_dssim`.
        train: whether there is a gradient.

    Raises:
        ValueError: the images do not fit together, or have another number of channels.
    """
    image = img1.movedim(-3, -1)
    return 1 - l1_dssim(image if train else image.detach(), img2.movedim(-3, -1), 1.0, padding)


__all__ = ["fused_ssim"]
