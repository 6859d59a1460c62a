"""Writes cameras.txt, images.txt and points3D.txt, as COLMAP and the readers here take them.

Numbers have all their digits, so what is read again is the same. Tracks are written as far as they are known.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gsplat_core.errors import DataError
from gsplat_core.io.atomic import atomic_folder
from gsplat_core.quaternions import quaternions_of
from gsplat_core.scene.colmap.check import printable
from gsplat_core.scene.colmap.model import RegisteredImage, SparsePoints
from gsplat_core.scene.lens import Lens


def posed(number: int, camera: int, name: str, viewmat: npt.ArrayLike) -> RegisteredImage:
    """An image of which nothing but the pose is known.

    Args:
        number, camera: its id and that of its camera.
        viewmat: [4, 4] world-to-camera, rigid.
    """
    matrix = np.array(viewmat, np.float64)
    return RegisteredImage(
        id=number,
        camera_id=camera,
        name=name,
        quaternion=quaternions_of(torch.from_numpy(matrix[:3, :3].copy())).numpy(),
        translation=matrix[:3, 3].copy(),
        keypoints=np.zeros((0, 2)),
        point_ids=np.zeros(0, np.int64),
    )


def write_model(
    folder: Path, lenses: Mapping[int, Lens], images: Sequence[RegisteredImage], points: SparsePoints
) -> None:
    """Writes a model as text: all three files or none.

    Args:
        folder: made if need be; the one above must be there. A binary model in it would be read first.
        lenses: by camera id.

    Raises:
        DataError: COLMAP has no such camera, or an image's name does not fit into a line.
        ResourceError: a file cannot be written.
    """
    files = {
        "cameras.txt": _listed("cameras", _cameras(folder, lenses)),
        "points3D.txt": _listed("points", _points(points)),
        "images.txt": _listed("images", _images(folder, images)),
    }
    with atomic_folder(folder, last="images.txt") as temporary:
        for name, content in files.items():
            (temporary / name).write_bytes(content)


def _listed(kind: str, records: Iterable[bytes]) -> bytes:
    lines = list(records)
    return b"".join([b"# Number of %s: %d\n" % (kind.encode(), len(lines)), *lines])


def _cameras(folder: Path, lenses: Mapping[int, Lens]) -> Iterable[bytes]:
    for number, lens in lenses.items():
        if lens.model.id < 0:
            raise DataError(
                folder / "cameras.txt",
                f"COLMAP has no camera of the model {lens.model.name}",
                f"camera {number}",
                "Only lenses of COLMAP's own models can be written.",
            )
        params = [*lens.focal[: lens.model.num_focals], *lens.center, *lens.coefficients]
        yield _line(number, lens.model.name, lens.width, lens.height, *params)


def _images(folder: Path, images: Sequence[RegisteredImage]) -> Iterable[bytes]:
    for image in images:
        name = os.fsencode(image.name)
        if name != name.strip() or b"\n" in name or not name:
            raise DataError(
                folder / "images.txt",
                f"the name {printable(image.name)!r} does not fit into a line of text",
                f"image {image.id}",
                "Rename this photograph.",
            )
        head = _line(image.id, *image.quaternion, *image.translation, image.camera_id)
        seen = zip(image.keypoints.tolist(), image.point_ids.tolist(), strict=True)
        yield head[:-1] + b" " + name + b"\n" + _line(*[value for (x, y), i in seen for value in (x, y, i)])


def _points(points: SparsePoints) -> Iterable[bytes]:
    rows = zip(points.ids, points.xyz, points.rgb, points.errors, pairwise(points.track_starts), strict=True)
    for number, xyz, rgb, error, (first, last) in rows:
        yield _line(number, *xyz, *rgb, error, *points.tracks[first:last].ravel())


def _line(*values: Any) -> bytes:
    """Values with blanks between them; numbers with all their digits."""
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    return " ".join(map(str, plain)).encode() + b"\n"
