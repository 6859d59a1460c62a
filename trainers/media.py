"""Writes rendered images: a folder of PNGs, or a video."""

from __future__ import annotations

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
    path.parent.mkdir(parents=True, exist_ok=True)
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

    Where two would be the same, the photograph's ending stays: `a.jpg.png` and `a.tif.png`.
    """
    long = [Path(f"{name}.png") for name in names]
    short = [
        Path(name).with_suffix(".png") if Path(name).suffix.lower() in IMAGE_ENDINGS else longer
        for name, longer in zip(names, long, strict=True)
    ]
    count = Counter(short)
    return [a if count[a] == 1 else b for a, b in zip(short, long, strict=True)]


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
