"""Reads masks of labels: one PNG for each photograph, with a whole number for each pixel.

They are called like masks of what counts (`scene/mask_files.py`), and likewise go through what happened to
the photograph: they are turned, undistorted and shrunk with it, but no two labels are ever averaged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import View
from gsplat_core.scene.images import decode_labels, same_aspect, turned_like
from gsplat_core.scene.mask_files import MaskIndex
from gsplat_core.scene.photos import Photo
from gsplat_core.scene.undistort import nearest_pixels


def label_masks(folder: Path, views: Sequence[View]) -> dict[str, Path]:
    """The files of masks by the names of their views, of those views that have one.

    Args:
        views: from files.

    Raises:
        DataError: the folder does not exist, or has no mask for any view.
    """
    if not folder.is_dir():
        raise DataError(folder, "the folder of masks does not exist", remedy="Check the path.")
    photos = [view.photo for view in views if view.photo is not None]
    # A mask's path is that of its photograph below the folder of the capture's names, or below the one that
    # all photographs are in: in a transforms.json names begin with that.
    together = Path(os.path.commonpath([photo.path.parent for photo in photos]))
    for root in dict.fromkeys((_root(photos[0]), together)):
        index = MaskIndex(folder, root)
        if found := {photo.shot.name: path for photo in photos if (path := index.find(photo.path))}:
            return found
    raise index.fits_nothing(photos[0].path)


def read_label_mask(path: Path, view: View) -> Tensor:
    """[H, W] int64 the labels of the view's pixels; -1 where its photograph is masked out.

    A mask of another size than its photograph, but of the same shape, is scaled.

    Raises:
        DataError: the mask is unreadable, no mask of labels, or has another shape than its photograph.
    """
    photo = view.photo
    assert photo is not None
    values, lens = decode_labels(path), photo.shot.lens
    if photo.exif_rotate and not same_aspect(values.shape[1], values.shape[0], lens.width, lens.height):
        values = turned_like(photo.path, values)
    height, width = values.shape
    if not same_aspect(width, height, lens.width, lens.height):
        raise DataError(
            path,
            f"this mask is {width} x {height} pixels, but its photograph is {lens.width} x {lens.height}",
            remedy="Make it again for this photograph.",
        )
    rows, columns = nearest_pixels(photo, view.camera)
    labels = torch.from_numpy(
        values[rows * height // lens.height, columns * width // lens.width].astype(np.int64)
    )
    # A folder of masks in the usual place is used for both; then black is the background, and not left out.
    kept = None if photo.mask == path else view.mask()
    return labels if kept is None else torch.where(kept, labels, -1)


def _root(photo: Photo) -> Path:
    """The folder below which the name of its shot is its path."""
    levels = len(Path(photo.shot.name.replace("\\", "/")).parts)
    return photo.path.parents[levels - 1]
