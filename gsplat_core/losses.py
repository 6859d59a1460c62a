"""Losses that compare a rendered image with a photograph."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gsplat_core.ops.l1_ssim import l1_ssim
from gsplat_core.ops.once import is_differentiated

Padding = Literal["same", "valid"]


def l1_dssim(image: Tensor, target: Tensor, lambda_dssim: float = 0.2, padding: Padding = "same") -> Tensor:
    """The loss of 3D Gaussian splatting: ``(1 - lambda) * L1 + lambda * (1 - SSIM)`` (Kerbl et al. 2023).

    L1 is the mean over all images, pixels and channels. SSIM (Wang et al. 2004) uses an 11x11 Gaussian window
    with sigma 1.5 per channel and the constants of images in [0, 1]. The gradient is the closed form, found
    in the same pass as the value; it flows into ``image`` only.

    Args:
        image: [..., H, W, 3] float32, the rendering. Values outside [0, 1] are allowed.
        target: [..., H, W, 3], the photograph: float32 in [0, 1], or uint8, which stands for value / 255.
        lambda_dssim: share of the SSIM term, in [0, 1].
        padding: "same" takes what lies outside the image as zero and averages over all pixels, as 3DGS does;
            "valid" averages over the pixels at least 5 from the border, as gsplat's trainer does.

    Returns:
        A differentiable scalar.

    Raises:
        ValueError: wrong shapes, lambda_dssim or padding; images smaller than 11x11 with "valid" padding.
        TypeError: wrong dtypes.
    """
    if not 0.0 <= lambda_dssim <= 1.0:
        raise ValueError(f"lambda_dssim must lie in [0, 1], got {lambda_dssim}")
    image, target = as_batches(image, target, padding)
    needs_grad = (image.requires_grad and torch.is_grad_enabled()) or is_differentiated((image,))
    loss, _, _, _ = l1_ssim(image, target, lambda_dssim, padding == "valid", needs_grad)
    return loss


def as_batches(image: Tensor, target: Tensor, padding: Padding) -> tuple[Tensor, Tensor]:
    """Checks a pair of images [..., H, W, 3] and gives them exactly one batch dimension."""
    if padding not in ("same", "valid"):
        raise ValueError(f"padding must be 'same' or 'valid', got {padding!r}")
    if image.dim() < 3 or image.shape[-1] != 3:
        raise ValueError(f"image must have shape [..., H, W, 3], got {list(image.shape)}")
    if target.shape != image.shape:
        raise ValueError(
            f"target must have the shape of image, {list(image.shape)}, got {list(target.shape)}"
        )
    if image.numel() == 0:
        raise ValueError(f"image has no pixels: its shape is {list(image.shape)}")
    if padding == "valid" and min(image.shape[-3:-1]) < 11:
        raise ValueError(f"padding='valid' needs images of at least 11x11 pixels, got {list(image.shape)}")
    if image.dtype != torch.float32:
        raise TypeError(f"image must be float32, got {image.dtype}")
    if target.dtype not in (torch.float32, torch.uint8):
        raise TypeError(f"target must be float32 or uint8, got {target.dtype}")
    return image.reshape(-1, *image.shape[-3:]), target.reshape(-1, *target.shape[-3:])


def as_float(photograph: Tensor) -> Tensor:
    """A photograph in [0, 1]: uint8 stands for value / 255, others are returned as they are."""
    return photograph / 255 if photograph.dtype == torch.uint8 else photograph
