"""What all painted textures share: noise, mixing, soft edges, letters, wood.

Pictures are [H,W,3] uint8 (sRGB); the first row is the top, where v = 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import ImageDraw, ImageFont

Array = NDArray[Any]
Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]


def noise(seed: int, shape: tuple[int, int], falloff: float, stretch: tuple[float, float] = (1, 1)) -> Array:
    """Periodic noise with spectrum 1/f^falloff, mean 0, deviation 1, stretched along (rows, columns)."""
    rng = np.random.default_rng(seed)
    fy, fx = np.meshgrid(*(np.fft.fftfreq(n) * n for n in shape), indexing="ij")
    frequency = np.hypot(fy * stretch[0], fx * stretch[1])
    frequency[0, 0] = 1  # any value: the mean has no gain
    gain = frequency**-falloff
    gain[0, 0] = 0
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal(shape)) * gain).real
    return field / field.std()


def mix(a: ArrayLike, b: ArrayLike, amount: Array) -> Array:
    """From a to b, colours or pictures, by amount [H,W]."""
    amount = np.clip(amount, 0, 1)[..., None]
    return np.asarray(a) * (1 - amount) + np.asarray(b) * amount


def picture(values: Array) -> Picture:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def edge(distance: Array, width: float) -> Array:
    """1 inside (negative distance), 0 outside, a soft step of `width` between."""
    return np.clip(0.5 - distance / width, 0, 1)


def pixels(size: int, height: int | None = None) -> tuple[Array, Array]:
    """(row, column) coordinates in [0,1] of a size x height picture; the first row is the top."""
    rows = height or size
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(size) + 0.5) / size, indexing="ij")
    return y, x


def text(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    words: str,
    size: float,
    fill: Colour,
    spacing: float = 4,
) -> None:
    """Centred on pixel `at`, in letters about `size` pixels high."""
    font = ImageFont.load_default(size)
    draw.multiline_text(at, words, fill, font, anchor="mm", align="center")


def wood(seed: int, shape: tuple[int, int], light: Colour, dark: Colour, rings: float = 9) -> Picture:
    """Grain along the columns."""
    y = np.linspace(0, 1, shape[0])[:, None]
    drift = noise(seed, shape, 1.6, (1, 7))
    fibre = noise(seed + 1, shape, 0.6, (1, 60))
    ring = 0.5 + 0.5 * np.sin(2 * np.pi * (rings * y + 0.8 * drift))
    return picture(mix(light, dark, 0.15 + 0.55 * ring**2 + 0.16 * fibre))
