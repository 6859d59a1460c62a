"""Reads maps of numbers: NumPy's arrays, PNG and TIFF, and what COLMAP's dense stereo writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gsplat_core.errors import DataError
from gsplat_core.scene.images import decode, decode_numbers

Numbers = npt.NDArray[np.float32]

# "width&height&channels&", three numbers of a few digits.
_LONGEST_HEADER = 64


def read_map(path: Path, channels: int) -> Numbers:
    """[H, W] float32 for one channel, else [H, W, channels]. Pictures have whole numbers as they are stored,
    of colours their upper eight bits.

    Args:
        channels: 1 or 3.

    Raises:
        DataError: the file cannot be read or holds something else.
    """
    name = path.name.lower()
    if name.endswith(".exr"):
        raise DataError(path, "OpenEXR is not read", remedy="Save the numbers as .npy or as 32-bit .tif.")
    if name.endswith(".npy"):
        values = _numpy(path)
    elif name.endswith(".bin"):
        values = _colmap(path)
    else:
        values = decode_numbers(path) if channels == 1 else decode(path)
    return _shaped(path, values, channels)


def _shaped(path: Path, values: npt.NDArray[Any], channels: int) -> Numbers:
    shape = values.shape
    if channels == 1 and values.ndim == 3 and 1 in (shape[0], shape[2]):
        values = values[..., 0] if shape[2] == 1 else values[0]
    if channels > 1 and values.ndim == 3 and shape[2] != channels and shape[0] == channels:
        values = np.moveaxis(values, 0, 2)
    expected = (2,) if channels == 1 else (3, channels)
    if (values.ndim, *values.shape[2:]) != expected or not values.size:
        what = "height x width" if channels == 1 else f"height x width x {channels}"
        raise DataError(
            path,
            f"holds {' x '.join(map(str, shape)) or 'one'} numbers, and not {what}",
            remedy="Save one map for each photograph.",
        )
    with np.errstate(over="ignore"):  # what is too large for 32 bits becomes infinite: unknown
        return np.array(values, np.float32, order="C")


def _numpy(path: Path) -> npt.NDArray[Any]:
    try:
        # Mapped, so that no header makes us take more memory than the file is long.
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise DataError(path, f"cannot be read: {error}", remedy="Save it again with numpy.save.") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        raise DataError(path, "holds no array of numbers", remedy="Save floats or integers with numpy.save.")
    return values


def _colmap(path: Path) -> npt.NDArray[Any]:
    """`depth_maps` and `normal_maps` of COLMAP's `dense/stereo`: the size as text, then floats, of which
    those of a row follow each other, rows of one channel, and channels."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            path, f"cannot be read: {error.strerror or error}", remedy="Copy it again."
        ) from error
    parts = data[:_LONGEST_HEADER].split(b"&", 3)
    if len(parts) < 4 or not all(part.isdigit() for part in parts[:3]):
        raise DataError(
            path, "does not start with a size, as COLMAP's maps do", "byte 0", "Is it of dense/stereo?"
        )
    width, height, channels = map(int, parts[:3])
    start = sum(len(part) + 1 for part in parts[:3])
    if len(data) - start != 4 * width * height * channels:
        raise DataError(
            path,
            f"has {len(data) - start:,} bytes for {width} x {height} pixels of {channels} numbers",
            f"byte {start}",
            "Copy it again; it may have been cut off.",
        )
    values = np.frombuffer(data, "<f4", offset=start).reshape(channels, height, width)
    return np.moveaxis(values, 0, 2)
