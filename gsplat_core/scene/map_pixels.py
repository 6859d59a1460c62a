"""What a map of numbers says of the pixels of a view: it follows what became of the photograph, and no two
of its numbers are ever averaged, since between a thing and what is behind it there is nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import View
from gsplat_core.scene.images import same_aspect, turned_like
from gsplat_core.scene.map_arrays import Numbers
from gsplat_core.scene.undistort import nearest_pixels

T = TypeVar("T", Numbers, Tensor)


def at_pixels(path: Path, values: Numbers, view: View, turns: bool = True) -> Numbers:
    """[H, W, ...] of the view's size, undistorted, shrunk and turned as its photograph; a map of another size
    but of the same shape is scaled.

    Args:
        values: [h, w, ...] the map, and `path` its file.
        turns: whether a map that fits its photograph as it is stored may be turned with it.

    Raises:
        DataError: the map has another shape than its photograph.
    """
    photo, camera = view.photo, view.camera
    lens = None if photo is None else photo.shot.lens
    width, height = (camera.width, camera.height) if lens is None else (lens.width, lens.height)
    if photo is not None and photo.exif_rotate and not _fits(values, width, height) and turns:
        values = turned_like(photo.path, values)
    if not _fits(values, width, height):
        raise DataError(
            path,
            f"this map is {values.shape[1]} x {values.shape[0]} pixels, but its photograph is "
            f"{width} x {height}",
            remedy="Make it again for this photograph.",
        )
    if photo is None:
        return shrunk(values, camera.width, camera.height)
    rows, columns = nearest_pixels(photo, camera)
    return values[rows * values.shape[0] // height, columns * values.shape[1] // width]


def shrunk(values: T, width: int, height: int) -> T:
    """[height, width, ...] the numbers at the middles of larger pixels; as they are where that is their
    size."""
    if values.shape[:2] == (height, width):
        return values
    rows = ((np.arange(height) + 0.5) * (values.shape[0] / height)).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * (values.shape[1] / width)).astype(np.int64)
    return values[rows[:, None], columns]


def _fits(values: Numbers, width: int, height: int) -> bool:
    return same_aspect(values.shape[1], values.shape[0], width, height)
