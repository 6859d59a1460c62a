"""Decodes photographs to 8-bit RGB and shrinks them.

What happens to each kind of image:

- grey, palette, CMYK, YCbCr, LAB: converted to RGB by Pillow;
- 16 bits a channel: the upper eight bits, rounded for grey;
- alpha: composited on black or white, kept, or ignored (``alpha`` argument);
- several pages (TIFF, MPO): the first;
- animations, 32-bit integer and floating-point images: refused by name.

EXIF orientation is not applied unless asked for: COLMAP sees the pixels as stored, and so do its cameras.

Only the formats of photographs are opened, whatever a file is called: Pillow knows others, such as
PostScript, whose readers run programs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from gsplat_core.errors import DataError

# What becomes of transparency: composited on a colour, left out, or kept for a colour to be known later.
AlphaRule = Literal["black", "white", "ignore", "keep"]
Pixels = npt.NDArray[np.uint8]

# Endings of photographs' names, in small letters; files are opened whatever they end with.
_ENDINGS = "jpg jpeg jpe jfif mpo png apng tif tiff webp avif bmp dib gif ppm pgm pbm pnm tga jp2 j2k jpx"
IMAGE_ENDINGS = frozenset(f".{name}" for name in _ENDINGS.split())

# EXIF orientations that exchange width and height.
_SIDEWAYS = {5, 6, 7, 8}
_TURNED = {2, 3, 4} | _SIDEWAYS
_ORIENTATION_TAG = 0x0112
# How much of a JPEG's end is looked at for the end marker.
_JPEG_TAIL = 1 << 12


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image before it is decoded.

    ``sideways`` if EXIF says it was taken on its side, ``turned`` if EXIF asks for any turn or reflection.
    """

    width: int
    height: int
    sideways: bool
    turned: bool = False


def read_header(path: Path) -> ImageHeader:
    """Size and orientation, without decoding.

    Also finds files that were cut off: cheaply for PNG (checksums) and JPEG (the end marker), by decoding
    the others and any JPEG that does not end with its marker.

    Raises:
        DataError: the file is not an image, is cut off, is of a refused kind, or is unreasonably large.
    """
    with _opened(path) as image:
        _refuse_kind(path, image)
        orientation = _orientation(image)
        header = ImageHeader(image.width, image.height, orientation in _SIDEWAYS, orientation in _TURNED)
        if image.format == "PNG":
            _verify(path)
        elif image.format not in ("JPEG", "MPO") or not _has_jpeg_end(path):
            _decode(path, image)
    return header


def decode(path: Path, alpha: AlphaRule = "black", exif_rotate: bool = False) -> Pixels:
    """[H, W, 3] uint8 RGB of an image file; the module's docstring says how.

    With the rule "keep", an image that is transparent anywhere is [H, W, 4]: composited on black, and alpha.
    Such pixels may be averaged as they are, and take any background b later, as rgb + b (1 - alpha).

    Raises:
        DataError: as read_header.
    """
    with _opened(path) as image:
        _refuse_kind(path, image)
        _decode(path, image)
        upright = ImageOps.exif_transpose(image) if exif_rotate else image
        return _to_rgb(upright, alpha)


def turned_like(path: Path, pixels: Pixels) -> Pixels:
    """Pixels [H, W] or [H, W, C] turned as the EXIF data of an image file ask for."""
    image = Image.fromarray(pixels)
    with _opened(path) as photograph:
        image.getexif()[_ORIENTATION_TAG] = _orientation(photograph)
    return np.asarray(ImageOps.exif_transpose(image))


def shrink(pixels: Pixels, width: int, height: int) -> Pixels:
    """Resamples [H, W] or [H, W, C] to a smaller size, averaging over the area that a new pixel covers.

    Whole-number factors average exactly those pixels; others use Pillow's Hamming window of the same width,
    which does not alias the way a box of varying size does.
    """
    old_height, old_width = pixels.shape[:2]
    if (old_width, old_height) == (width, height):
        return pixels
    if pixels.shape[2:] == (4,):  # Pillow would weight the colours with alpha, which they have been already
        return np.dstack([shrink(part, width, height) for part in (pixels[..., :3], pixels[..., 3])])
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if old_width % width == 0 and old_height % height == 0:
        return np.asarray(image.reduce((old_width // width, old_height // height)))
    return np.asarray(image.resize((width, height), Image.Resampling.HAMMING))


def same_aspect(width: int, height: int, other_width: int, other_height: int) -> bool:
    """Whether one size is the other times some factor, each side rounded to a whole pixel either way."""

    def is_rounded(w: int, h: int, from_w: int, from_h: int) -> bool:
        least = max((w - 1) / from_w, (h - 1) / from_h)
        most = min((w + 1) / from_w, (h + 1) / from_h)
        return least <= most

    small, large = sorted([(width, height), (other_width, other_height)])
    return is_rounded(*small, *large)


@cache
def _formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are opened, those that it has here. MPO is among its JPEG."""
    Image.init()
    names = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "BMP", "DIB", "GIF", "PPM", "TGA", "JPEG2000")
    return tuple(name for name in names if name in Image.OPEN)


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=_formats())
    except Image.DecompressionBombError as error:
        raise DataError(
            path,
            f"image too large to decode safely: {error}",
            "header",
            "Store it smaller. PIL.Image.MAX_IMAGE_PIXELS sets the limit.",
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(
            path, "is not an image of a kind that is read", remedy="Convert it to JPEG or PNG."
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error


def _refuse_kind(path: Path, image: Image.Image) -> None:
    if getattr(image, "is_animated", False) and image.format in ("GIF", "PNG", "WEBP"):
        raise DataError(
            path, f"animated {image.format} images are not supported", remedy="Save one frame of it."
        )
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        kind = "floating-point" if image.mode == "F" else "32-bit integer"
        raise DataError(
            path,
            f"{kind} images are not supported",
            remedy="Tone-map it to 8 or 16 bits, as PNG for example.",
        )


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the whole image to look for EXIF data behind it
    orientation: int = image.getexif().get(_ORIENTATION_TAG, 1)
    return orientation


def _verify(path: Path) -> None:
    """Checks a PNG's checksums to the end."""
    try:
        with _opened(path) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error


def _decode(path: Path, image: Image.Image) -> None:
    try:
        image.load()
    except Image.DecompressionBombError as error:
        raise DataError(path, str(error)) from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    problem = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return DataError(path, f"cannot be decoded: {problem}", remedy="Copy the file again or remove it.")


def _to_rgb(image: Image.Image, alpha: AlphaRule) -> Pixels:
    if image.mode.startswith("I"):  # 16-bit grey, in one of Pillow's byte orders
        grey = np.asarray(image).astype(np.uint32)
        grey8 = np.minimum((grey + 128) // 257, 255).astype(np.uint8)
        return np.repeat(grey8[..., None], 3, axis=2)
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        if alpha == "ignore":
            return np.asarray(rgba)[..., :3].copy()
        backdrop = Image.new("RGBA", rgba.size, "white" if alpha == "white" else "black")
        image = Image.alpha_composite(backdrop, rgba)
        opacity = rgba.getchannel("A")
        if alpha == "keep" and np.asarray(opacity).min() < 255:
            image.putalpha(opacity)
            return np.asarray(image)
    return np.asarray(image.convert("RGB"))


def _has_jpeg_end(path: Path) -> bool:
    """Whether the file ends as a complete JPEG does; zero padding after it is common and harmless."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _JPEG_TAIL))
        return file.read().rstrip(b"\0").endswith(b"\xff\xd9")
