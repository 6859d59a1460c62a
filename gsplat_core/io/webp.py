"""Lossless WebP images as arrays of bytes, for formats that keep numbers in images.

Every bit counts there, so lossy images are refused and colour under transparent pixels is kept. The size is
read from the file's header and checked before any decoder runs, which would allocate whatever the header
claims.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from gsplat_core.errors import DataError
from gsplat_core.io.source import Source

MAX_SIDE = 16383


def encode(pixels: np.ndarray, effort: int = 50) -> bytes:
    """A lossless WebP file of [H, W, 3 or 4] uint8; the effort is 0 (fast) to 100 (small)."""
    target = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(target, "WEBP", lossless=True, quality=effort, method=4, exact=True)
    return target.getvalue()


def size(data: bytes, path: Path, name: str) -> tuple[int, int]:
    """Height and width that the header of a lossless WebP file states.

    Raises:
        DataError: not a WebP file, cut off, lossy, or animated.
    """
    source = Source(data, path, name)
    riff, _, webp = source.unpack("4sI4s", "the RIFF header")
    if (riff, webp) != (b"RIFF", b"WEBP"):
        raise DataError(path, f"{name} is not a WebP image")
    while source.remaining >= 8:
        kind, length = source.unpack("4sI", "a chunk")
        if kind in (b"VP8 ", b"ANIM", b"ANMF"):
            raise DataError(
                path,
                f"{name} is {'a lossy' if kind == b'VP8 ' else 'an animated'} WebP image; "
                "only lossless ones keep the numbers",
            )
        chunk = Source(source.take(min(length + length % 2, source.remaining), "a chunk"), path, name)
        if kind == b"VP8X" and chunk.unpack("B", "the flags")[0] & 2:
            raise DataError(path, f"{name} is an animated WebP image")
        if kind == b"VP8L":
            signature, bits = chunk.unpack("BI", "the image header")
            if signature != 0x2F:
                raise DataError(path, f"{name} is a damaged WebP image")
            return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    raise DataError(path, f"{name} has no lossless image")


def decode(data: bytes, path: Path, name: str) -> np.ndarray:
    """The pixels [H, W, 4] uint8 of a lossless WebP file; the caller has looked at `size`.

    Raises:
        DataError: as for `size`, or the image is damaged.
    """
    expected = size(data, path, name)
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            if (image.height, image.width) != expected:
                raise DataError(path, f"{name}: its headers disagree about the size")
            pixels = np.asarray(image.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(path, f"{name} cannot be decoded ({error})") from error
    return pixels
