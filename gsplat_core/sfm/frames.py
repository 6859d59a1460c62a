"""Chooses the frames of a video that poses are found for: sharp ones, evenly along the camera's way.

A first pass looks at every frame in small: how sharp it is (the variance of its Laplacian; Pech-Pacheco et
al. 2000), and how far the picture has moved. The way is cut into as many equal parts as frames are wanted,
and of each the sharpest frame is taken; while the camera stands still there is no way, so nothing is chosen
twice. A second pass writes the chosen ones. Of each frame two numbers are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from gsplat_core.errors import DataError
from gsplat_core.io.atomic import atomic_path
from gsplat_core.sfm.motion import BLOCK, Spectra
from gsplat_core.sfm.video import read_video

Told = Callable[[int, int], None]
"""Is told how many are done, of how many (0: unknown)."""

PER_WIDTH = 12
"""Without a number asked for, frames per picture's width of the camera's way: neighbours then share nine
tenths."""
FEWEST, MOST = 40, 300
_LOOKED_AT = 960  # pixels of the longer side at which sharpness is measured
_SMALL = 160  # and motion
_MOST_PARTS = 4  # for each frame that is wanted
_HOP = 5.0  # and pixels of motion after which frames are compared with a new one: they are whole, and add up


class Survey(NamedTuple):
    """What the first pass finds of each frame.

    Attributes:
        way: [F] how far the picture has moved until then, in widths of the picture; never falls.
        sharpness: [F] comparable among frames that show the same.
    """

    way: npt.NDArray[np.float64]
    sharpness: npt.NDArray[np.float64]


def choose(survey: Survey, number: int | None) -> list[int]:
    """The frames to take, ascending.

    Args:
        number: how many; None: what the way asks for. Fewer come out where the camera stands or there are no
            more frames.
    """
    way, total = survey.way, len(survey.way)
    if number is None:
        number = min(max(round(float(way[-1]) * PER_WIDTH), FEWEST), MOST) if total else 0
    if number >= total:
        return list(range(total))
    # Where nothing moves at all, by the time.
    place = way / way[-1] if way[-1] > 0 else np.linspace(0, 1, total)
    chosen: list[int] = []
    parts = float(number)
    # Where the camera jumps, parts have no frame: then there are more of them.
    while parts <= _MOST_PARTS * number and len(chosen) < number:
        finer = _sharpest(place, survey.sharpness, int(parts))
        if len(finer) > number:
            break
        chosen, parts = finer, parts * 1.1 + 1
    return chosen


def _sharpest(place: npt.NDArray[np.float64], sharpness: npt.NDArray[np.float64], parts: int) -> list[int]:
    """The sharpest frame of each of so many equal parts of the way, which goes from 0 to 1."""
    part = np.minimum((place * parts).astype(int), parts - 1)
    chosen = []
    for members in np.split(np.arange(len(place)), np.flatnonzero(np.diff(part)) + 1):
        # Not at the ends of a part, where the next one's may be the very next frame.
        offset = place[members] * parts - part[members]
        inner = members[(offset > 1 / 6) & (offset < 5 / 6)]
        members = inner if len(inner) else members
        chosen.append(int(members[sharpness[members].argmax()]))
    return chosen


def survey(path: Path, told: Told) -> Survey:
    """Looks at all frames of a video.

    Raises:
        DataError: it cannot be read, or has fewer than two frames.
    """
    facts, frames = read_video(path, "gray", _LOOKED_AT)
    sharpness: list[float] = []
    way: list[float] = []
    reference, passed = None, 0.0
    for frame in frames:
        sharpness.append(laplacian_variance(frame))
        small = _shrunk(frame)
        now = Spectra(small)
        moved = 0.0 if reference is None else reference.moved(now)
        way.append(max(passed + moved / small.shape[1], way[-1] if way else 0.0))
        if reference is None or moved >= _HOP:
            reference, passed = now, way[-1]
        told(len(way), facts.frames)
    if len(way) < 2:
        raise DataError(
            path,
            f"a video of {len(way)} frames that can be read",
            remedy="Copy it again, or convert it to .mp4.",
        )
    return Survey(np.array(way), np.array(sharpness))


def write_frames(path: Path, chosen: list[int], folder: Path, told: Told) -> list[str]:
    """Writes frames of a video as JPEG files, numbered as they are in it: `frame_000012.jpg`.

    Returns:
        Their names.

    Raises:
        DataError: it cannot be read, or has fewer frames than before.
        ResourceError: a file cannot be written.
    """
    wanted, names = set(chosen), []
    _, frames = read_video(path)
    with closing(frames):  # type: ignore[type-var]
        for number, frame in enumerate(frames):
            if number in wanted:
                names.append(f"frame_{number:06d}.jpg")
                with atomic_path(folder / names[-1]) as temporary:
                    Image.fromarray(frame).save(temporary, quality=95, subsampling=0)
                told(len(names), len(chosen))
            if len(names) == len(chosen):
                return names
    raise DataError(path, "the video changed while it was read", remedy="Start again.")


def laplacian_variance(picture: npt.NDArray[np.uint8]) -> float:
    """Of a grey picture [H, W] of at least three pixels a side."""
    grey = picture.astype(np.float32)
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * middle).var())


def _shrunk(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = picture.shape
    scale = max(_SMALL / max(height, width), BLOCK / min(height, width))
    size = max(round(width * scale), BLOCK), max(round(height * scale), BLOCK)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
