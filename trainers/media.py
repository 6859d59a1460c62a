"""Writes rendered images: a folder of PNGs, or a video."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from PIL import Image
from torch import Tensor

from gsplat_core.io.atomic import atomic_path
from gsplat_core.io.links import make_folder
from gsplat_core.scene.images import IMAGE_ENDINGS

VIDEO_ENDINGS = (".mp4", ".webm", ".mkv", ".mov", ".gif")


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_ENDINGS


def write_video(path: Path, frames: Iterable[Tensor], fps: int) -> None:
    """Writes images [H, W, 3] in [0, 1] as a video of the kind that the file's ending names."""
    make_folder(path.parent)
    gif = path.suffix.lower() == ".gif"
    # GIF counts milliseconds per frame.
    options = (
        {"duration": 1000 / fps, "loop": 0} if gif else {"fps": fps, "macro_block_size": 1, "quality": 8}
    )
    with atomic_path(path) as temporary:
        writer: Any = imageio.get_writer(temporary, **options)
        with writer:
            for frame in frames:
                height, width = frame.shape[:2]
                # Videos keep one colour for two by two pixels, so their sides are even.
                even = frame if gif else frame[: height // 2 * 2, : width // 2 * 2]
                writer.append_data(to_uint8(even))


def png_names(names: Sequence[str]) -> list[Path]:
    """Names for the renderings of photographs: `a.png` for `a.jpg`, and `frame.0001.png` for `frame.0001`.

    Each has its own, also where capital letters are no others. Where two would be the same, or one a folder
    of the other, the photograph's ending stays: `a.jpg.png` and `a.tif.png`; and should there be a photograph
    called `a.jpg.png`, too, a number is added.
    """
    paths = [Path(os.path.normpath(name)) for name in names]
    long = [Path(f"{path}.png") for path in paths]
    short = [
        path.with_suffix(".png") if path.suffix.lower() in IMAGE_ENDINGS else longer
        for path, longer in zip(paths, long, strict=True)
    ]
    folders = {_folded(folder) for path in paths for folder in path.parents}
    count = Counter(_folded(path) for path in short)
    taken: set[str] = set()
    chosen = []
    for name, longer in zip(short, long, strict=True):
        alone = count[_folded(name)] == 1 and _folded(name) not in taken | folders
        file, number = name if alone else longer, 1
        while _folded(file) in taken | folders:
            number += 1
            file = longer.with_name(f"{longer.stem}_{number}.png")
        taken.add(_folded(file))
        chosen.append(file)
    return chosen


def _folded(path: Path) -> str:
    """Equal for paths that name one file where capital letters are no others, or accents are letters."""
    return unicodedata.normalize("NFD", os.fspath(path)).casefold()


def save_png(path: Path, image: Tensor, below: Path | None = None) -> None:
    """Writes [H, W, 3] in [0, 1] as PNG, completely or not at all.

    Args:
        below: a folder above it; folders between the two are made, and take the place of links. None: that of
            the file.

    Raises:
        ResourceError: the folder or file cannot be written.
    """
    make_folder(path.parent, path.parent if below is None else below)
    with atomic_path(path) as temporary:
        Image.fromarray(to_uint8(image)).save(temporary, compress_level=3)


def to_uint8(image: Tensor) -> np.ndarray:
    """[H, W, 3] in [0, 1] to 8 bits, rounded to nearest."""
    return (image.clamp(0, 1) * 255).round().byte().cpu().numpy()
