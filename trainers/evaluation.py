"""The test protocol: render the test views, compare in float, average over images.

As in gsplat, the rendering is clamped to [0, 1] and stays in float32; the 3DGS scripts round it to 8 bits.
PSNR is from the mean squared error over all pixels and channels of one image; SSIM has an 11x11 Gaussian
window, sigma 1.5 and zero padding, as in 3DGS. Both are averaged over the images. `cc_psnr` is the PSNR after
the colours of each image were fitted to its photograph (`gsplat_core.color_correction`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gsplat_core.color_correction import color_corrected
from gsplat_core.losses import as_float
from gsplat_core.metrics import psnr, ssim
from gsplat_core.render.scene import render as render_scene
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View
from gsplat_core.scene.gaussians import Gaussians
from trainers.parts.part import Picture
from trainers.views import Target

MOST_DB = 100.0
"""What is better counts as this; equal images, whose PSNR is infinite, too."""

PROTOCOL = {
    "images": "float32, rendering clamped to [0, 1], not rounded to 8 bits",
    "psnr": f"per image over all pixels and channels, at most {MOST_DB:g} dB, then averaged over images",
    "cc_psnr": "psnr after the affine change of each image's colours that fits its photograph best",
    "ssim": "11x11 Gaussian window, sigma 1.5, zero padding, per channel, averaged over images",
    "masks": "what a photograph's mask leaves out does not count",
}
PROTOCOL_OF_HALVES = {
    "half_psnr": "psnr of the right half of each image, after what is its photograph's own was fitted to the "
    "left half",
    "half_ssim": "ssim of the same",
}
"""Of runs in which photographs have something of their own."""


@dataclass(frozen=True)
class Halves:
    """The right half of a test view, measured after what is its photograph's own was fitted to the left half
    (`trainers.parts.fitting`)."""

    psnr: float
    ssim: float


@dataclass(frozen=True)
class Scored:
    """One test view rendered and measured."""

    name: str
    truth: Tensor
    """[H, W, 3] float32 in [0, 1]"""
    render: Tensor
    """[H, W, 3] float32 in [0, 1]"""
    psnr: float
    ssim: float
    mask: Tensor | None = None
    """[H, W] bool, the pixels that count; None where all do"""
    empty: bool = False
    """Whether no Gaussian is visible."""
    halves: Halves | None = None
    """None where nothing is a photograph's own."""

    @cached_property
    def cc_psnr(self) -> float:
        """PSNR with the photograph's exposure and white balance."""
        corrected = color_corrected(self.render, self.truth, self.mask)
        return capped(psnr(corrected, self.truth, self.mask))

    def summary(self) -> dict[str, Any]:
        plain = {"name": self.name, "psnr": self.psnr, "ssim": self.ssim, "cc_psnr": self.cc_psnr}
        if self.halves is None:
            return plain
        return {**plain, "half_psnr": self.halves.psnr, "half_ssim": self.halves.ssim}


def render(gaussians: Gaussians, camera: Camera, background: str = "black") -> Tensor:
    """The image [H, W, 3] of one camera, clamped to [0, 1], with all SH degrees, antialiased where it is."""
    return picture(gaussians, camera, background).shown


@torch.no_grad()
def picture(gaussians: Gaussians, camera: Camera, background: str = "black") -> Picture:
    """The same before anything becomes of it."""
    behind = backdrop(background, gaussians.device)
    rendered = render_scene(gaussians, camera, background=behind)
    return Picture(rendered.colors, rendered.alphas, behind)


def evaluate(
    gaussians: Gaussians,
    views: Iterable[View],
    background: str = "black",
    drawn: Callable[[Gaussians, View, str], Picture] | None = None,
    fitted: Callable[[Gaussians, View, str], Halves | None] = lambda gaussians, view, background: None,
) -> Iterator[Scored]:
    """Renders and measures the views one by one.

    Args:
        drawn: what makes of a scene and a view the picture, on a background, that is compared with the
            photograph; None: :func:`picture`.
        fitted: what measures the right half after a fit to the left one.
    """
    for view in views:
        with torch.no_grad():
            shown = (
                picture(gaussians, view.camera, background)
                if drawn is None
                else drawn(gaussians, view, background)
            )
            image = shown.shown
        truth, mask = photograph(view, background, image.device)
        quality, similarity = capped(psnr(image, truth, mask)), ssim(image, truth, mask=mask)
        halves = fitted(gaussians, view, background)
        yield Scored(view.name, truth, image, quality, similarity, mask, shown.empty, halves)


def photograph(view: View, background: str, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """What a view's rendering is compared with: [H, W, 3] float32 in [0, 1], and the mask [H, W], if any."""
    target = Target.of(view, device).on(backdrop(background, device))
    return as_float(target.image), target.mask


def backdrop(background: str, device: torch.device) -> Tensor | None:
    """[1, 3] the colour behind the scene; None for black."""
    return torch.ones(1, 3, device=device) if background == "white" else None


def capped(decibels: float) -> float:
    """A PSNR that can be averaged and written: equal images have an infinite one."""
    return min(decibels, MOST_DB)


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
