"""Every d-th pixel of photographs of many (Turbo-GS, Lu et al. 2024, "dilated rendering").

The pixels (x + d i, y + d j) of an image are themselves the image of a camera whose K is scaled by 1/d and
shifted, with one difference: the screen-space blur is that of the image, eps2d / d^2 in pixels of the
lattice. So a step that compares only these blends 1/d^2 of the pixels, of the very image that it would blend
otherwise, with no kernels of its own. Unlike smaller photographs (`trainers/resolution.py`), in which the
finest structure is averaged away, they have it all; they show it in other places each time, since every
step draws an offset (x, y). D-SSIM compares windows of the lattice, so that those of neighbouring pixels come
last, in whole images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import torch

from gsplat_core.errors import UsageError
from gsplat_core.render.seam import TURN
from gsplat_core.render.settings import RenderSettings
from gsplat_core.scene.dataset import View
from trainers.config import TrainConfig
from trainers.parts.registry import PARTS
from trainers.views import Target

AUTO_PIXELS = 500_000
"""`auto` leaves a step at least so many: of photographs from 2 megapixels on it takes every second pixel,
from 4.5 on every third."""

SHORTEST = 11
"""No side of a lattice is shorter: the window of D-SSIM."""

OF_PIXELS = {
    "2dgs": "has a filter of a pixel's width",
    "analytic": "is integrated over each pixel",
    "sundae": "is looked at through a network of neighbouring pixels",
}
"""Primitives of which every d-th pixel is no image of theirs."""


class Lattice(NamedTuple):
    """The pixels (x + every i, y + every j) of an image."""

    every: int = 1
    x: int = 0
    y: int = 0

    def of(self, target: Target) -> Target:
        """These pixels of a photograph, with the camera that sees them."""
        if self.every == 1:
            return target
        columns, rows = slice(self.x, None, self.every), slice(self.y, None, self.every)
        image = target.image[rows, columns].contiguous()
        K = target.K.clone()
        K[:, :2] /= self.every
        # Centres of pixels: that of pixel i of the lattice, i + 1/2, is x + every i + 1/2 in the photograph.
        for row, offset in enumerate((self.x, self.y)):
            K[:, row, 2] += 0.5 - (offset + 0.5) / self.every
        return replace(
            target,
            image=image,
            alpha=None if target.alpha is None else target.alpha[rows, columns].contiguous(),
            mask=None if target.mask is None else target.mask[rows, columns].contiguous(),
            K=K,
            width=image.shape[1],
            height=image.shape[0],
            dilation=target.dilation * self.every,
        )


@lru_cache(maxsize=64)
def dilated(settings: RenderSettings, every: int) -> RenderSettings:
    """Settings measured in pixels, in those of a lattice."""
    return settings if every == 1 else replace(settings, eps2d=settings.eps2d / every**2)


class Dilation:
    """Which pixels of its photograph a step sees.

    Nothing but the configuration and the step decides, so that a resumed run needs no state of it.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._every = config.dilation
        self._until = math.floor(config.dilation_until * config.steps)
        self._seed = config.seed

    def __call__(self, step: int, target: Target) -> Target:
        pixels = target.width * target.height
        every = self.every_at(step, pixels, target.shrinkage)
        if every == 1:
            return target
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        x, y = torch.randint(every, (2,), generator=generator).tolist()
        return Lattice(every, x, y).of(target)

    def every_at(self, step: int, pixels: float, shrinkage: int = 1) -> int:
        """How many-th pixels a step sees of a photograph.

        Args:
            pixels: that it has in this step.
            shrinkage: by which factor it is shrunk. One that has few pixels already has no fewer for that.
        """
        if step > self._until:
            return 1
        if isinstance(self._every, int):
            return max(self._every // shrinkage, 1)
        return max(math.isqrt(int(pixels) // AUTO_PIXELS), 1)


def refuse_dilation(config: TrainConfig, views: Sequence[View]) -> None:
    """Raises UsageError where a run that sees every d-th pixel has what needs their neighbours."""
    if config.dilation == 1:
        return
    remedy = f"leave out --dilation {config.dilation}"
    if what := OF_PIXELS.get(config.primitive):
        raise UsageError(f"the primitive {config.primitive!r} {what}; {remedy}, or choose another --model.")
    for name, kind in PARTS.items():
        if kind.neighbours and kind.of(name, config, views) is not None:
            raise UsageError(f"the part {name!r} {kind.neighbours}; {remedy}, or leave out that part.")
    for view in views:
        camera = view.camera
        if camera.model in TURN:
            raise UsageError(
                f"{view.name} is a panorama, whose seam is between neighbouring pixels; {remedy}."
            )
        if isinstance(config.dilation, int) and min(camera.width, camera.height) < SHORTEST * config.dilation:
            raise UsageError(
                f"--dilation {config.dilation}: of {view.name}, {camera.width} x {camera.height}, fewer than "
                f"{SHORTEST} x {SHORTEST} pixels would be left; use a smaller number, or auto."
            )
