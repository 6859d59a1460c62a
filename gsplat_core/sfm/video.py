"""Reads the frames of a video, one after the other, by the ffmpeg that imageio-ffmpeg brings.

Frames are upright: ffmpeg turns them as the file's rotation says. What a file names elsewhere is not opened.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from gsplat_core.errors import DataError

_ENDINGS = "mp4 mov m4v mkv webm avi mts m2ts ts mpg mpeg wmv 3gp flv ogv mxf gif"
VIDEO_ENDINGS = frozenset(f".{name}" for name in _ENDINGS.split())
"""Of files that are taken for videos, in small letters."""

_REMEDY = "Copy it again, or convert it to .mp4."

Image = npt.NDArray[np.uint8]


class VideoFacts(NamedTuple):
    """Of a video: width and height as it is shown, and about how many frames there are (0: unknown)."""

    width: int
    height: int
    frames: int


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_ENDINGS


def check_video(path: Path) -> None:
    """Raises DataError if it is no video, by reading its first frame."""
    _, frames = read_video(path, "gray", 64)
    with closing(frames):  # type: ignore[type-var]
        if next(frames, None) is None:
            raise DataError(path, "there is no frame in it that can be read", remedy=_REMEDY)


def read_video(
    path: Path, colours: Literal["rgb24", "gray"] = "rgb24", longest: int | None = None
) -> tuple[VideoFacts, Iterator[Image]]:
    """Facts and frames, each [H, W, 3] or, in grey, [H, W]. A file that is cut off ends with its last whole
    frame.

    Args:
        longest: frames are shrunk until no side is longer.

    Raises:
        DataError: it is no video, or nothing of it can be decoded.
    """
    frames = _opened(path, colours, longest)
    try:
        meta = next(frames)
    except Exception as error:  # of the reader, whatever its texts of ffmpeg do not say as it expects
        raise DataError(path, f"cannot be read as a video: {_reason(error)}", remedy=_REMEDY) from error
    width, height = meta["size"]
    facts = VideoFacts(width, height, round(meta["duration"] * meta["fps"]))
    shape = (height, width, 3) if colours == "rgb24" else (height, width)
    return facts, _images(frames, shape)


def _opened(path: Path, colours: str, longest: int | None) -> Any:
    import imageio_ffmpeg

    # It warns of sizes that differ, which is what is asked for.
    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)
    size = [] if longest is None else [
        "-vf",
        f"scale='min(iw,{longest})':'min(ih,{longest})':force_original_aspect_ratio=decrease"
        ":force_divisible_by=2",
    ]  # fmt: skip
    return imageio_ffmpeg.read_frames(
        f"file:{path.resolve()}",
        pix_fmt=colours,
        bits_per_pixel=24 if colours == "rgb24" else 8,
        input_params=["-nostdin", "-protocol_whitelist", "file"],
        output_params=["-an", "-sn", *size],
    )


def _images(frames: Any, shape: tuple[int, ...]) -> Iterator[Image]:
    with closing(frames), suppress(RuntimeError):  # of a frame that is cut off
        for content in frames:
            yield np.frombuffer(content, np.uint8).reshape(shape)


def _reason(error: Exception) -> str:
    """What ffmpeg said last that is no figure of it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
