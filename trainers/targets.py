"""Pictures of what photographs are to show after an edit, found by the photographs' names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import View
from gsplat_core.scene.images import IMAGE_ENDINGS, AlphaRule, decode, read_header
from gsplat_core.scene.photos import walk, without_ending

_REMEDY = "`gsplat-core render RUN --path train -o FOLDER` writes pictures of the right names and sizes."


def find_targets(folder: Path, views: Sequence[View]) -> dict[int, Path]:
    """The pictures of those views that have one, by the views' numbers: named as the photograph, with any
    ending of an image.

    Raises:
        DataError: there is no such folder, none of its pictures is of any view, two are of one, or one is not
            of the size that the view has in the run.
    """
    if not folder.is_dir():
        raise DataError(folder, "there is no such folder", remedy="It holds the edited pictures.")
    numbers = {without_ending(Path(view.name)): number for number, view in enumerate(views)}
    found: dict[int, Path] = {}
    for path in walk(folder):
        number = numbers.get(without_ending(path.relative_to(folder)))
        if number is None or path.suffix.lower() not in IMAGE_ENDINGS:
            continue
        if number in found:
            raise DataError(path, f"is of the same photograph as {found[number]}", remedy="Remove one.")
        _check_size(path, views[number])
        found[number] = path
    if not found:
        example = f", such as {views[0].name!r}" if views else ""
        raise DataError(
            folder, f"no picture in it is named as a training photograph{example}", remedy=_REMEDY
        )
    return found


def read_target(path: Path, view: View, alpha: AlphaRule) -> Tensor:
    """[H, W, 3] uint8, of the view's size; black where the photograph is masked out."""
    size = view.camera.width, view.camera.height
    picture = torch.from_numpy(np.array(decode(path, alpha, expected=size)[..., :3], order="C"))
    mask = view.mask()
    return picture if mask is None else picture.where(mask[..., None], 0)


def _check_size(path: Path, view: View) -> None:
    header, camera = read_header(path), view.camera
    if (header.width, header.height) != (camera.width, camera.height):
        raise DataError(
            path,
            f"is {header.width} x {header.height} pixels, but the photograph is used as {camera.width} x "
            f"{camera.height} in this run",
            remedy=_REMEDY,
        )
