"""What every loader of posed photographs hands over: shots with lens and pose, and perhaps points."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gsplat_core.quaternions import rotation_matrix
from gsplat_core.scene.cameras import center_of, rigid
from gsplat_core.scene.colmap import SparseModel
from gsplat_core.scene.colmap.model import RegisteredImage
from gsplat_core.scene.lens import Lens


@dataclass(frozen=True, eq=False)
class Shot:
    """One photograph: its name below the image folder, the lens and the [4, 4] world-to-camera pose.

    ``mask`` is the file of its mask, where the capture names one; ``is_test`` whether it is to be tested and
    not trained on, where the capture has a split of its own.
    """

    name: str
    lens: Lens
    viewmat: npt.NDArray[np.float64]
    mask: Path | None = None
    is_test: bool | None = None

    @property
    def center(self) -> npt.NDArray[np.float64]:
        """[3] the camera's position in the world."""
        return center_of(self.viewmat)


@dataclass
class Capture:
    """A set of posed photographs.

    Attributes:
        source: the file or folder it was read from.
        shots: in any order.
        xyz: [P, 3] float64 points in the world, possibly none.
        rgb: [P, 3] uint8 their colours.
        warnings: what was dropped or looks wrong, a sentence each.
        image_root: the folder that names are relative to, where the source says so.
        sightings: by a shot's name, which points it sees: ascending rows of `xyz` (COLMAP's tracks). Empty
            where the source does not say.
        model: the COLMAP model that it was read from, if it was.
    """

    source: Path
    shots: list[Shot]
    xyz: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    rgb: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    warnings: list[str] = field(default_factory=list)
    image_root: Path | None = None
    sightings: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    model: SparseModel | None = None


def capture_from_colmap(model: SparseModel) -> Capture:
    """The shots and points of a checked COLMAP model."""
    shots = [
        Shot(
            image.name,
            model.lenses[image.camera_id],
            rigid(rotation_matrix(image.quaternion), image.translation),
        )
        for image in model.images
    ]
    order = np.argsort(model.points.ids, kind="stable")
    ids = model.points.ids[order]
    return Capture(
        model.folder,
        shots,
        model.points.xyz,
        model.points.rgb,
        list(model.warnings),
        sightings={image.name: _points_seen(image, ids, order) for image in model.images},
        model=model,
    )


def _points_seen(
    image: RegisteredImage, ids: npt.NDArray[np.int64], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The rows of the points that an image's keypoints name and that are there, ascending.

    Args:
        ids: [P] of the points, ascending.
        order: [P] the rows in which they are.
    """
    if not len(ids):
        return np.zeros(0, np.int64)
    named = np.unique(image.point_ids)
    places = np.searchsorted(ids, named).clip(max=len(ids) - 1)
    return np.sort(order[places[ids[places] == named]])
