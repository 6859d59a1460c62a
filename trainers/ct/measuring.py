"""How close a reconstruction is to the truth: PSNR and SSIM of volumes and of projections.

Projections are compared under two conventions. "peak": both divided by the largest line integral of the test
projections. "minmax": each projection, measured or rendered, brought to [0, 1] by its own smallest and
largest value, as X-Gaussian's published PSNR has it.
"""

from __future__ import annotations

import math

from torch import Tensor

from gsplat_core.metrics import ssim


def psnr(values: Tensor, truth: Tensor, peak: float) -> float:
    """10 log10(peak^2 / MSE) in dB, over all values; nan where there is nothing to compare with."""
    if peak <= 0 or not truth.numel():
        return math.nan
    error = float((values.double() - truth.double()).square().mean())
    return 10 * math.log10(peak**2 / error) if error else math.inf


def volume_metrics(volume: Tensor, truth: Tensor) -> dict[str, float]:
    """Of volumes [nx, ny, nz]: PSNR with the truth's largest density as peak, and the mean SSIM of all slices
    along the three axes, as R2-Gaussian measures them."""
    peak = float(truth.max())
    similar = [_ssim(volume.movedim(axis, 0) / peak, truth.movedim(axis, 0) / peak) for axis in range(3)]
    return {"psnr_3d": psnr(volume, truth, peak), "ssim_3d": sum(similar) / 3}


def projection_metrics(images: Tensor, truth: Tensor) -> dict[str, float]:
    """Of projections [C, H, W], means over them under both conventions."""
    peak = float(truth.max())
    ours, theirs = to_unit(images), to_unit(truth)
    pairs = list(zip(images, truth, strict=True))
    return {
        "psnr_2d": _mean([psnr(a, b, peak) for a, b in pairs]),
        "ssim_2d": _ssim(images / peak, truth / peak),
        "psnr_2d_minmax": _mean([psnr(a, b, 1.0) for a, b in zip(ours, theirs, strict=True)]),
        "ssim_2d_minmax": _ssim(ours, theirs),
    }


def to_unit(images: Tensor) -> Tensor:
    """Each of [C, H, W] by its own smallest and largest value."""
    low, high = images.amin(dim=(1, 2), keepdim=True), images.amax(dim=(1, 2), keepdim=True)
    return (images - low) / (high - low).clamp(min=1e-12)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _ssim(images: Tensor, truth: Tensor) -> float:
    if not len(images):
        return math.nan
    channels = (*images.shape, 3)
    a, b = (x.float().cpu()[..., None].expand(channels).contiguous() for x in (images, truth))
    return ssim(a, b)
