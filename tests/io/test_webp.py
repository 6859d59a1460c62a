"""Headers of WebP images: which are read, and the sizes that they state."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gsplat_core.errors import DataError
from gsplat_core.io import webp

PATH = Path("scene.sog")


def pixels(height: int = 3, width: int = 5) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 4), np.uint8)


def extended(data: bytes, flags: int) -> bytes:
    """The image as a file of the extended format, with its flags, and a chunk of odd length before it."""
    chunks = b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0, 4, 0, 0, 2, 0, 0])
    chunks += b"EXIF" + struct.pack("<I", 3) + b"abc\0"
    chunks += data[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (300, 2), (2, 300)])
def test_what_is_written_is_read(shape: tuple[int, int]) -> None:
    image = pixels(*shape)
    data = webp.encode(image)
    assert webp.size(data, PATH, "a.webp") == shape
    np.testing.assert_array_equal(webp.decode(data, PATH, "a.webp"), image)


@pytest.mark.parametrize("flags", [0x10, 0x00, 0x18])
def test_files_of_the_extended_format_may_hold_a_lossless_image(flags: int) -> None:
    assert webp.size(extended(webp.encode(pixels()), flags), PATH, "a.webp") == (3, 5)


def test_animations_and_lossy_images_are_refused() -> None:
    data = webp.encode(pixels())
    with pytest.raises(DataError, match="animated"):
        webp.size(extended(data, 0x12), PATH, "a.webp")
    lossy = io.BytesIO()
    Image.fromarray(pixels()[..., :3]).save(lossy, "WEBP", quality=80)
    with pytest.raises(DataError, match="lossy"):
        webp.size(lossy.getvalue(), PATH, "a.webp")
    moving = io.BytesIO()
    frames = [Image.fromarray(pixels()[..., :3]) for _ in range(2)]
    frames[0].save(moving, "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (5, 3))])
    with pytest.raises(DataError, match="animated"):
        webp.size(moving.getvalue(), PATH, "a.webp")


def test_what_is_no_webp_image_is_refused() -> None:
    data = webp.encode(pixels())
    for wrong, message in (
        (b"JUNK" + data[4:], "not a WebP image"),
        (data[:8] + b"WAVE" + data[12:], "not a WebP image"),
        (data[:12], "no lossless image"),
        (data[:20] + b"\0" + data[21:], "damaged"),
        (data[:6], "RIFF header"),
    ):
        with pytest.raises(DataError, match=message):
            webp.size(wrong, PATH, "a.webp")


def test_headers_that_disagree_about_the_size_are_refused() -> None:
    data = bytearray(webp.encode(pixels()))
    (bits,) = struct.unpack_from("<I", data, 21)
    struct.pack_into("<I", data, 21, bits + 1)
    with pytest.raises(DataError, match=r"disagree|cannot be decoded"):
        webp.decode(extended(bytes(data), 0x10), PATH, "a.webp")
