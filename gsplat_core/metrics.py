"""How close a rendered image is to a photograph: PSNR and SSIM.

Both expect images in [0, 1]. They do not clamp, since that would hide what it changes: clamp a rendering
first (``image.clamp(0, 1)``), as every published figure does.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gsplat_core.losses import as_batches, as_float
from gsplat_core.ops.l1_ssim import l1_ssim
from gsplat_core.ssim import ssim_statistics


@torch.no_grad()
def psnr(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB, ``-10 log10(MSE)``; MSE is the mean over all pixels and channels.

    A published PSNR of several test views is the mean of their PSNRs, so call this once per view.

    Args:
        image: [..., H, W, 3] float32 in [0, 1], clamped by the caller.
        target: [..., H, W, 3] float32 in [0, 1], or uint8, which stands for value / 255.
        mask: [..., H, W] bool; the mean is over the pixels that are True.

    Returns:
        dB; infinity for equal images, nan where no pixel is left.

    Raises:
        ValueError, TypeError: wrong shapes or dtypes.
    """
    image, target = as_batches(image, target, "same")
    squares = (image - as_float(target)).square()
    if mask is not None:
        squares = squares[_as_batch(mask, image)]
    mse = squares.mean(dtype=torch.float64)
    return float(-10.0 * torch.log10(mse))


@torch.no_grad()
def ssim(
    image: Tensor,
    target: Tensor,
    padding: Literal["same", "valid", "reflect"] = "same",
    mask: Tensor | None = None,
) -> float:
    """Structural similarity (Wang et al. 2004): 11x11 Gaussian window, sigma 1.5, per channel, averaged.

    The windows of the 5 pixels nearest to the border reach outside the image. ``padding`` says what they see:

    - "same": zeros. Figures of 3DGS and most of its descendants are of this kind.
    - "valid": nothing, these pixels are left out of the average. The original SSIM; torchmetrics before 1.5
      and therefore most figures of gsplat.
    - "reflect": the image mirrored at its border pixels; torchmetrics from 1.5 on.

    Args:
        image: [..., H, W, 3] float32 in [0, 1], clamped by the caller.
        target: [..., H, W, 3] float32 in [0, 1], or uint8, which stands for value / 255.
        padding: as above.
        mask: [..., H, W] bool, with "same" only: the average is over the windows around pixels that are True,
            in which the others are black in both images. nan where no pixel is left.

    Raises:
        ValueError, TypeError: wrong shapes, dtypes or padding; images smaller than 11x11 with "valid" padding
            or than 6x6 with "reflect".
    """
    if mask is not None:
        if padding != "same":
            raise ValueError(f"a mask needs padding='same', got {padding!r}")
        return _masked_ssim(*as_batches(image, target, padding), mask)
    if padding == "reflect":
        image, target = as_batches(image, target, "same")
        if min(image.shape[1:3]) < 6:
            raise ValueError(
                f"padding='reflect' needs images of at least 6x6 pixels, got {list(image.shape)}"
            )
        image, target = _mirrored_border(image), _mirrored_border(target)
        padding = "valid"
    image, target = as_batches(image, target, padding)
    _, _, value, _ = l1_ssim(image, target, 1.0, padding == "valid", False)
    return float(value)


def _masked_ssim(images: Tensor, targets: Tensor, mask: Tensor) -> float:
    kept = _as_batch(mask, images)
    pairs = zip(images * kept[..., None], as_float(targets) * kept[..., None], strict=True)
    maps = [ssim_statistics(image, target).ssim for image, target in pairs]
    return float(torch.stack(maps)[kept].mean(dtype=torch.float64))


def _as_batch(mask: Tensor, images: Tensor) -> Tensor:
    """A mask of images [B, H, W, 3] as [B, H, W]."""
    if mask.dtype != torch.bool or mask.shape[-2:] != images.shape[1:3]:
        raise ValueError(f"mask must be bool [..., H, W] for images of shape {list(images.shape)}")
    return mask.reshape(-1, *mask.shape[-2:]).expand(images.shape[:3])


def _mirrored_border(images: Tensor) -> Tensor:
    """Images [B, H, W, 3] with 5 more pixels on each side; the border pixel itself is not repeated."""
    for dim in (1, 2):
        size = images.shape[dim]
        index = (torch.arange(-5, size + 5).abs() - (size - 1)).abs()
        images = images.index_select(dim, size - 1 - index)
    return images
