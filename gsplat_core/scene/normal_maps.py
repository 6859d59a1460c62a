"""Maps of the normals of surfaces, one for each photograph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.dataset import View
from gsplat_core.scene.map_arrays import Numbers, read_map
from gsplat_core.scene.map_files import find_maps
from gsplat_core.scene.map_pixels import at_pixels
from gsplat_core.scene.optics import optics_of

Frame = Literal["opencv", "opengl", "world"]
"""Of the camera with y down and z forward, with y up and z backward, or of the capture."""

_LEAST_LENGTH = 0.5  # of what should be a unit vector
_FLIPPED = np.array([1, -1, -1], np.float32)


def find_normal_maps(folder: Path, views: Sequence[View]) -> dict[int, Path]:
    """The files of those views that have one, by their numbers; raises as `find_maps`."""
    found = find_maps(folder, [view.name for view in views], "normal")
    return {number: found[view.name] for number, view in enumerate(views) if view.name in found}


def read_normal_maps(files: Mapping[int, Path], views: Sequence[View], frame: Frame) -> dict[int, Tensor]:
    """[H, W, 3] unit vectors in the world, float32, by the numbers of views; zero where nothing is known.

    Raises:
        DataError: a file cannot be read, has another shape than its photograph, nothing in it is known, or
            most normals look away from the camera.
    """
    with ThreadPoolExecutor(min(len(files), 2 * (os.cpu_count() or 1))) as pool:
        read = pool.map(lambda number: read_normal_map(files[number], views[number], frame), files)
        return {number: torch.from_numpy(normals) for number, normals in zip(files, read, strict=True)}


def read_normal_map(path: Path, view: View, frame: Frame) -> Numbers:
    """[H, W, 3] the normals of the view's pixels: those of `read_normal_maps`."""
    values = read_map(path, 3)
    if path.suffix.lower() in (".png", ".tif", ".tiff"):
        # Black is no direction; (n + 1) / 2 of a unit vector never is.
        values = np.where((values == 0).all(-1, keepdims=True), 0, values * (2 / 255) - 1)
    values = at_pixels(path, values, view, turns=False)
    with np.errstate(all="ignore"):
        length = np.linalg.norm(values, axis=-1, keepdims=True)
        normals = np.where(length >= _LEAST_LENGTH, values / length, np.nan)
    known = np.asarray(np.isfinite(normals).all(-1))
    if not known.any():
        raise DataError(
            path,
            "no pixel of this normal map is known: none has a vector of length 1",
            remedy="Save unit vectors as .npy, or (n + 1) / 2 of them as colours.",
        )
    normals = np.where(known[..., None], normals, 0).astype(np.float32)
    if frame == "opengl":
        normals = normals * _FLIPPED
    if frame != "world":
        normals = normals @ view.camera.viewmat[:3, :3].astype(np.float32)
    _check_side(path, normals, known, view.camera, frame)
    return normals


def _check_side(path: Path, normals: Numbers, known: np.ndarray, camera: Camera, frame: Frame) -> None:
    """What a camera sees of surfaces looks at it."""
    rows, columns = np.nonzero(known)
    rows, columns = rows[:: max(len(rows) // 10_000, 1)], columns[:: max(len(columns) // 10_000, 1)]
    pixels = np.stack([columns, rows], axis=1).astype(np.float64) + 0.5
    rays = optics_of(camera).rays(pixels) @ camera.viewmat[:3, :3]
    away = np.mean((normals[rows, columns] * rays).sum(-1) > 0)
    if away > 0.5:
        others = {"opencv": "opengl or world", "opengl": "opencv or world", "world": "opencv or opengl"}
        raise DataError(
            path,
            f"{away:.0%} of its normals look away from the camera, if they are in the frame {frame!r}",
            remedy=f"Name theirs with --set normals.frame=, {others[frame]}.",
        )
