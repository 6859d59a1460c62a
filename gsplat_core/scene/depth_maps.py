"""What is known of the depths of photographs, from files or from the sparse points.

A depth is what the rasterizer has for it: along the viewing axis, but the distance from the camera through
fisheye lenses and in panoramas that are used as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Camera, Matrix
from gsplat_core.scene.dataset import View
from gsplat_core.scene.map_arrays import Numbers, read_map
from gsplat_core.scene.map_files import find_maps
from gsplat_core.scene.map_pixels import at_pixels
from gsplat_core.scene.scale import points_in_view

WHOLE_STEP = 0.001
"""What one step of a map of whole numbers stands for, unless its user says otherwise: a millimetre."""


def find_depth_maps(folder: Path, views: Sequence[View]) -> dict[int, Path]:
    """The files of those views that have one, by their numbers; raises as `find_maps`."""
    found = find_maps(folder, [view.name for view in views], "depth")
    return {number: found[view.name] for number, view in enumerate(views) if view.name in found}


def read_depth_maps(
    files: Mapping[int, Path], views: Sequence[View], scale: float | None = None
) -> dict[int, Tensor]:
    """[H, W] float32 by the numbers of views, NaN where nothing is known.

    Args:
        scale: factor to the numbers; None: 1, `WHOLE_STEP` for whole ones in pictures.

    Raises:
        DataError: a file cannot be read, has another shape than its photograph, or nothing in it is known.
    """
    with ThreadPoolExecutor(min(len(files), 2 * (os.cpu_count() or 1))) as pool:
        read = pool.map(lambda number: read_depth_map(files[number], views[number], scale), files)
        return {number: torch.from_numpy(values) for number, values in zip(files, read, strict=True)}


def read_depth_map(path: Path, view: View, scale: float | None = None) -> Numbers:
    """[H, W] the numbers for the view's pixels: those of `read_depth_maps`."""
    values = at_pixels(path, read_map(path, 1), view)
    known = np.isfinite(values) & (values != 0)
    if not known.any():
        raise DataError(
            path,
            "no pixel of this depth map is known: all are 0, infinite or not a number",
            remedy="Make it again, or remove it: photographs without depth are used, too.",
        )
    if scale is None:
        scale = WHOLE_STEP if path.suffix.lower() == ".png" else 1.0
    return np.where(known, values * np.float32(scale), np.float32(np.nan))


def points_seen(camera: Camera, xyz: Matrix, rows: Tensor | None) -> tuple[Matrix, Matrix]:
    """Pixels [M, 2] and depths [M] of the sparse points that a photograph shows.

    Args:
        xyz: [P, 3] all points.
        rows: of those that the reconstruction saw in it; where it does not say (None, or none), all that
            lie before the camera are taken.
    """
    seen = xyz if rows is None or not len(rows) else xyz[rows.numpy()]
    _, pixels, depths = points_in_view(camera, seen)
    return pixels, depths


def sparse_depths(pixels: Matrix, depths: Matrix, camera: Camera, width: int, height: int) -> Tensor:
    """[height, width] float32 the depths of points at the pixels that show them, of several the nearest; NaN
    elsewhere.

    Args:
        pixels, depths: as of `points_seen`, in the camera's image.
        width, height: of the map, which may be smaller.
    """
    places = (pixels * (width / camera.width, height / camera.height)).astype(np.int64)
    places = np.clip(places, 0, (width - 1, height - 1))
    order = np.argsort(-depths, kind="stable")
    values = np.full((height, width), np.nan, np.float32)
    values[places[order, 1], places[order, 0]] = depths[order]
    return torch.from_numpy(values)
