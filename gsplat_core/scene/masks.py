"""Reads the mask of a photograph: what is white is kept, what is black has no influence on anything.

Any channel of at least half the full brightness is white; a mask of zeros and ones counts, too. Where a mask
is transparent it is black.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gsplat_core.errors import DataError
from gsplat_core.scene.images import Pixels, decode, same_aspect, turned_like

# Where masks are looked for, below the scene's folder and beside and below that of the photographs.
MASK_FOLDERS = ["masks", "mask"]
NO_MASKS = "none"
IGNORE_MASKS = f"Leave masks out with masks={NO_MASKS!r} (--masks {NO_MASKS})."

Kept = npt.NDArray[np.bool_]


def read_mask(path: Path, width: int, height: int, turned: Path | None = None) -> Kept:
    """[H, W] of a photograph's size, True where it is kept. A mask of another size is scaled.

    Args:
        path: the mask's file.
        width, height: of the photograph, in pixels.
        turned: the photograph's file, if it was turned as its EXIF data ask for: a mask that only fits so is,
            too.

    Raises:
        DataError: the mask is unreadable or has another shape than its photograph.
    """
    values = decode(path).max(axis=2)
    if turned is not None and not _fits(values, width, height):
        values = turned_like(turned, values)
    if not _fits(values, width, height):
        raise DataError(
            path,
            f"this mask is {values.shape[1]} x {values.shape[0]} pixels, but its photograph is "
            f"{width} x {height}",
            remedy=f"Make it again for this photograph. {IGNORE_MASKS}",
        )
    if values.shape != (height, width):
        nearest = Image.Resampling.NEAREST
        values = np.asarray(Image.fromarray(values).resize((width, height), nearest))
    kept: Kept = values > (0 if values.max() <= 1 else 127)
    return kept


def _fits(values: Pixels, width: int, height: int) -> bool:
    return same_aspect(values.shape[1], values.shape[0], width, height)


def unmixed(pixels: Pixels, coverage: Pixels) -> Pixels:
    """Resampled pixels [H, W, C] without their share of what was masked out, which was black.

    Args:
        coverage: [H, W] the mask, white where it is kept, resampled in the same way. Pixels of which less
            than half was kept become black.
    """
    share = coverage[..., None].astype(np.float32) / 255
    seen = np.clip(np.round(pixels / np.maximum(share, 0.5)), 0, 255)
    return np.where(coverage[..., None] >= 128, seen, 0).astype(np.uint8)
