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
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from gsplat_core.errors import DataError, GsplatError
from gsplat_core.memory import is_shortage, memory_bytes

# What becomes of transparency: composited on a colour, left out, or kept for a colour to be known later.
AlphaRule = Literal["black", "white", "ignore", "keep"]
Pixels = npt.NDArray[np.uint8]
Number = TypeVar("Number", bound=np.generic)

# Endings of photographs' names, in small letters; files are opened whatever they end with.
_ENDINGS = "jpg jpeg jpe jfif mpo png apng tif tiff webp avif bmp dib gif ppm pgm pbm pnm tga jp2 j2k jpx"
JPEG_ENDINGS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"})
IMAGE_ENDINGS = frozenset(f".{name}" for name in _ENDINGS.split())

# Pillow's names of the formats that are opened, all that are of photographs; MPO is among its JPEG.
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "BMP", "DIB", "GIF", "PPM", "TGA", "JPEG2000")

# EXIF orientations that exchange width and height.
_SIDEWAYS = {5, 6, 7, 8}
_TURNED = {2, 3, 4} | _SIDEWAYS
_ORIENTATION_TAG = 0x0112
# What Pillow and this module take for a pixel while they decode, and how many fit in at the same time.
BYTES_PER_PIXEL = 16
LEAST_ROOM = 1 << 26
# How much of a JPEG's end is looked at for the end marker.
_JPEG_TAIL = 1 << 12


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image before it is decoded.

    ``sideways`` if EXIF says it was taken on its side, ``turned`` if EXIF asks for any turn or reflection,
    ``transparent`` if it says of pixels how opaque they are.
    """

    width: int
    height: int
    sideways: bool
    turned: bool = False
    transparent: bool = False


def read_header(path: Path) -> ImageHeader:
    """Size and orientation, without decoding.

    Also finds files that were cut off: cheaply for PNG (checksums) and JPEG (the end marker), by decoding
    the others and any JPEG that does not end with its marker.

    Raises:
        DataError: the file is not an image, is cut off, is of a refused kind, or is unreasonably large.
    """
    with _errors_of(path), _opened(path) as image:
        _refuse_kind(path, image)
        orientation = _orientation(image)
        header = ImageHeader(
            image.width, image.height, orientation in _SIDEWAYS, orientation in _TURNED, _has_alpha(image)
        )
        if image.format == "PNG":
            _verify(path)
        elif image.format not in ("JPEG", "MPO") or not _has_jpeg_end(path):
            with room_for(image.width * image.height // _reduction(image, (1, 1)) ** 2):
                image.draft(None, (2, 2))
                image.load()
    return header


def read_exif(path: Path) -> Image.Exif:
    """The EXIF data of an image file, of which nothing is known but that they can be parsed; perhaps none.

    Raises:
        DataError: the file is not an image.
    """
    with _errors_of(path), _opened(path) as image:
        # Pillow would decode a PNG to look for them behind the image.
        return image.getexif() if image.format != "PNG" or "exif" in image.info else Image.Exif()


def decode(
    path: Path,
    alpha: AlphaRule = "black",
    exif_rotate: bool = False,
    size: tuple[int, int] | None = None,
    expected: tuple[int, int] | None = None,
) -> Pixels:
    """[H, W, 3] uint8 RGB of an image file; the module's docstring says how.

    With the rule "keep", an image that is transparent anywhere is [H, W, 4]: composited on black, and alpha.
    Such pixels may be averaged as they are, and take any background b later, as rgb + b (1 - alpha).

    Args:
        size: width and height to shrink it to, no larger than it is; see `shrink`. JPEG files are decoded at
            an eighth, a quarter or a half of their sides where that leaves twice as many pixels a side.
        expected: width and height that it must have before.

    Raises:
        DataError: as read_header; the image has another size than expected.
    """
    with _errors_of(path), _opened(path) as image:
        _refuse_kind(path, image)
        orientation = _orientation(image) if exif_rotate else 1
        if orientation in _SIDEWAYS:
            size = None if size is None else size[::-1]
            expected = None if expected is None else expected[::-1]
        full = image.size
        if expected not in (None, full):
            raise DataError(path, "the image changed its size while in use", remedy="Start again.")
        size = size or full
        with room_for(full[0] * full[1] // _reduction(image, size) ** 2):
            image.draft(None, (2 * size[0], 2 * size[1]))
            reduction = round(full[0] / image.width)
            image.load()
            # A reduced image's last pixels may reach beyond the image.
            extent = full[0] / reduction, full[1] / reduction
            return np.asarray(_upright(_shrunk(_as_rgb(image, alpha), size, extent), orientation))


def decode_labels(path: Path) -> npt.NDArray[np.int32]:
    """[H, W] the whole numbers that a PNG of one channel stores, of up to 16 bits; of one with a palette, the
    places in it.

    Raises:
        DataError: as read_header; the image has colours or transparency, or is of a kind that loses digits.
    """
    remedy = "Save the numbers of the labels as greyscale of 8 or 16 bits, without alpha."
    expected = "a mask of labels is a PNG with one whole number for each pixel"
    return _channel(path, ("PNG",), ("1", "L", "P", "I"), expected, remedy).astype(np.int32)


def decode_grey(path: Path) -> npt.NDArray[np.int32]:
    """[H, W] the levels of an image of one channel with 8 or 16 bits, PNG or TIFF, such as detectors store.

    Raises:
        DataError: as read_header; the image has colours or transparency, or is of a kind that loses digits.
    """
    remedy = "Save it as greyscale of 8 or 16 bits, or as .npy."
    expected = "expected one channel as PNG or TIFF"
    return _channel(path, ("PNG", "TIFF"), ("L", "I"), expected, remedy).astype(np.int32)


def decode_numbers(path: Path) -> npt.NDArray[np.generic]:
    """[H, W] the numbers that a PNG or TIFF of one channel stores: whole ones of up to 32 bits, or floats.

    Raises:
        DataError: as read_header; the image has colours or transparency, or is of another format.
    """
    remedy = "Save the numbers as .npy, or as greyscale of 16 bits (.png) or 32 bits (.tif)."
    expected = "a map of numbers has one channel of 8, 16 or 32 bits"
    return _channel(path, ("PNG", "TIFF"), ("L", "I", "F"), expected, remedy)


def _channel(
    path: Path, formats: tuple[str, ...], modes: tuple[str, ...], expected: str, remedy: str
) -> npt.NDArray[np.generic]:
    """[H, W] the only channel of an image of these formats and modes, as it is stored; `expected` tells the
    user what it should be."""
    with _errors_of(path), _opened(path) as image:
        if "F" not in modes:  # those who take floats take every number
            _refuse_kind(path, image)
        if image.format not in formats or image.mode.partition(";")[0] not in modes:
            raise DataError(path, f"{expected}, this is {image.format} of mode {image.mode}", remedy=remedy)
        with room_for(image.width * image.height):
            return np.array(image)


def turned_like(path: Path, pixels: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Pixels [H, W] or [H, W, C] turned as the EXIF data of an image file ask for."""
    with _errors_of(path), _opened(path) as photograph:
        orientation = _orientation(photograph)
    return np.asarray(_upright(Image.fromarray(pixels), orientation))


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    if orientation == 1:
        return image
    image.getexif()[_ORIENTATION_TAG] = orientation
    return ImageOps.exif_transpose(image)


def shrink(pixels: Pixels, width: int, height: int) -> Pixels:
    """Resamples [H, W] or [H, W, C] to a smaller size, averaging over the area that a new pixel covers.

    Whole-number factors average exactly those pixels; others use Pillow's Hamming window of the same width,
    which does not alias the way a box of varying size does.
    """
    if pixels.shape[1::-1] == (width, height):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(_shrunk(image, (width, height), image.size))


def _shrunk(image: Image.Image, size: tuple[int, int], extent: tuple[float, float]) -> Image.Image:
    """The image in another size.

    Args:
        extent: how much of it counts, from the upper left corner; all, up to less than a pixel.
    """
    if image.size == size == tuple(map(round, extent)):
        return image
    if image.mode == "RGBA":  # Pillow would weight the colours with alpha, which they have been already
        parts = (image.convert("RGB"), image.getchannel("A"))
        color, opacity = (_shrunk(part, size, extent) for part in parts)
        color.putalpha(opacity)
        return color
    if image.size == extent and image.width % size[0] == 0 and image.height % size[1] == 0:
        return image.reduce((image.width // size[0], image.height // size[1]))
    return image.resize(size, Image.Resampling.HAMMING, box=(0, 0, *extent))


def same_aspect(width: int, height: int, other_width: int, other_height: int) -> bool:
    """Whether one size is the other times some factor, each side rounded to a whole pixel either way."""

    def is_rounded(w: int, h: int, from_w: int, from_h: int) -> bool:
        least = max((w - 1) / from_w, (h - 1) / from_h)
        most = min((w + 1) / from_w, (h + 1) / from_h)
        return least <= most

    small, large = sorted([(width, height), (other_width, other_height)])
    return is_rounded(*small, *large)


class _Room:
    """Lets so many pixels be decoded at a time: usual photographs on all threads, huge ones one by one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._taken = 0

    @contextmanager
    def of(self, pixels: int, most: int) -> Iterator[None]:
        """Waits until there is room for so many pixels; what needs more than all gets it alone."""
        pixels = min(pixels, most)
        with self._condition:
            self._condition.wait_for(lambda: self._taken + pixels <= most)
            self._taken += pixels
        try:
            yield
        finally:
            with self._condition:
                self._taken -= pixels
                self._condition.notify_all()


_room = _Room()


def room_for(pixels: int) -> AbstractContextManager[None]:
    """Waits until so many pixels may be decoded on this machine besides what other threads decode."""
    return _room.of(pixels, most_pixels())


def most_pixels() -> int:
    """How many pixels may be decoded at a time."""
    free = memory_bytes()[1]
    return LEAST_ROOM if free is None else max(LEAST_ROOM, free // (8 * BYTES_PER_PIXEL))


def reduction_to(full: tuple[int, int], size: tuple[int, int]) -> int:
    """By which factor a JPEG file of a width and height is reduced that will be shrunk to a size."""
    factor = min(full[0] // (2 * size[0]), full[1] // (2 * size[1]))
    return max((scale for scale in (1, 2, 4, 8) if scale <= factor), default=1)


def _reduction(image: Image.Image, size: tuple[int, int]) -> int:
    return reduction_to(image.size, size) if image.format in ("JPEG", "MPO") else 1


@cache
def _formats() -> tuple[str, ...]:
    """Those of the formats that this Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=_formats())
    except UnidentifiedImageError as error:
        raise DataError(
            path, "is not an image of a kind that is read", remedy="Convert it to JPEG or PNG."
        ) from error


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Pillow's readers of damaged files raise whatever comes up, also when they are asked for facts."""
    try:
        yield
    except GsplatError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(
            path,
            f"image too large to decode safely: {error}",
            "header",
            "Store it smaller. PIL.Image.MAX_IMAGE_PIXELS sets the limit.",
        ) from error
    except Exception as error:
        if is_shortage(error):
            raise
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
    with _opened(path) as image:
        image.verify()


def _unreadable(path: Path, error: Exception) -> DataError:
    problem = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return DataError(path, f"cannot be decoded: {problem}", remedy="Copy the file again or remove it.")


def _as_rgb(image: Image.Image, alpha: AlphaRule) -> Image.Image:
    """In mode RGB, or RGBA where transparency is kept."""
    if image.mode.startswith("I"):  # 16-bit grey, in one of Pillow's byte orders
        grey = np.asarray(image).astype(np.uint32)
        grey8 = np.minimum((grey + 128) // 257, 255).astype(np.uint8)
        return Image.fromarray(grey8).convert("RGB")
    if _has_alpha(image):
        rgba = image.convert("RGBA")
        if alpha == "ignore":
            return rgba.convert("RGB")
        backdrop = Image.new("RGBA", rgba.size, "white" if alpha == "white" else "black")
        image = Image.alpha_composite(backdrop, rgba)
        opacity = rgba.getchannel("A")
        if alpha == "keep" and opacity.histogram()[255] < opacity.width * opacity.height:
            image.putalpha(opacity)
            return image
    return image if image.mode == "RGB" else image.convert("RGB")


def _has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def _has_jpeg_end(path: Path) -> bool:
    """Whether the file ends as a complete JPEG does; zero padding after it is common and harmless."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _JPEG_TAIL))
        return file.read().rstrip(b"\0").endswith(b"\xff\xd9")
