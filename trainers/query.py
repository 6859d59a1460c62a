"""Photographs that are not of a capture: which lens took them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gsplat_core.errors import UsageError
from gsplat_core.scene.cameras import DEFAULT_NEAR
from gsplat_core.scene.capture import Shot
from gsplat_core.scene.dataset import Dataset, View, view_of
from gsplat_core.scene.exif import exif_focal
from gsplat_core.scene.images import read_header, same_aspect
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.photos import inspect
from trainers.config import TrainConfig


class QueryPhoto(NamedTuple):
    """A photograph with its camera, whose pose is none, and where the camera's lens is from."""

    view: View
    lens_of: str


def query_photo(
    path: Path,
    dataset: Dataset | None,
    config: TrainConfig,
    focal: float | None = None,
    intrinsics: Sequence[float] | None = None,
) -> QueryPhoto:
    """A photograph, without distortion, with the lens that took it: the one that is given; or else that of
    the capture's photographs of this size; or else one with the focal length that its EXIF data tell.

    Args:
        dataset: the capture, where there is one.
        config: how its photographs are read.
        focal: in pixels; the principal point is in the middle.
        intrinsics: fx, fy, cx and cy in pixels, without distortion.

    Raises:
        DataError: the file is no image.
        UsageError: nothing tells its lens, or it is a panorama.
    """
    header = read_header(path)
    turned = config.exif_rotate and header.sideways
    width, height = (header.height, header.width) if turned else (header.width, header.height)
    lens, source = _lens(path, width, height, dataset, focal, intrinsics)
    [photo] = inspect([(Shot(path.name, lens, np.eye(4)), path)], config.exif_rotate, True, [])
    view = view_of(photo, config.alpha_rule)
    if view.camera.model != "pinhole":
        raise UsageError(f"{path}: poses of panoramas are not found; render a pinhole view of it.")
    near = dataset.train[0].camera.near if dataset is not None else DEFAULT_NEAR
    view.camera = replace(view.camera, near=near)
    return QueryPhoto(view, source)


def _lens(
    path: Path,
    width: int,
    height: int,
    dataset: Dataset | None,
    focal: float | None,
    intrinsics: Sequence[float] | None,
) -> tuple[Lens, str]:
    def pinhole(fx: float, fy: float, cx: float, cy: float) -> Lens:
        return Lens.from_params(LENS_MODEL_BY_NAME["PINHOLE"], width, height, (fx, fy, cx, cy))

    middle = width / 2, height / 2
    if intrinsics is not None:
        return pinhole(*intrinsics), "--intrinsics"
    if focal is not None:
        return pinhole(focal, focal, *middle), "--focal"
    known = [view.photo.shot.lens for view in dataset.train if view.photo] if dataset is not None else []
    alike = Counter(lens for lens in known if same_aspect(width, height, lens.width, lens.height))
    if alike:
        exact = [lens for lens, _ in alike.most_common() if (lens.width, lens.height) == (width, height)]
        return (exact or [alike.most_common()[0][0]])[0], "the capture's photographs"
    told = exif_focal(path, width, height)
    if told is not None:
        return pinhole(told, told, *middle), "its EXIF data"
    raise UsageError(
        f"{path}: no photograph of the capture has its shape, {width} x {height}, and it has no EXIF data "
        "that tell its focal length: add --focal PIXELS."
    )
