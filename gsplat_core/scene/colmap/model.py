"""What a COLMAP model holds, whichever way it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gsplat_core.scene.lens import Lens


@dataclass(frozen=True, eq=False)
class RegisteredImage:
    """An image whose pose is known.

    Attributes:
        id, camera_id: COLMAP's numbers.
        name: path below the image folder, bytes that are not UTF-8 kept as surrogates (os.fsdecode).
        quaternion: [4] (w, x, y, z) world-to-camera rotation, of any length.
        translation: [3] world-to-camera.
        keypoints: [n, 2] pixels.
        point_ids: [n] int64 id of the 3D point that each keypoint sees, -1 for none.
    """

    id: int
    camera_id: int
    name: str
    quaternion: npt.NDArray[np.float64]
    translation: npt.NDArray[np.float64]
    keypoints: npt.NDArray[np.float64]
    point_ids: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SparsePoints:
    """Triangulated points and their tracks, as columns.

    Attributes:
        ids: [P] int64.
        xyz: [P, 3] float64 world coordinates.
        rgb: [P, 3] uint8.
        errors: [P] mean reprojection error in pixels.
        tracks: [M, 2] int32 (image id, row of the image's keypoints).
        track_starts: [P + 1] int64; the track of point p is tracks[track_starts[p]:track_starts[p + 1]].
    """

    ids: npt.NDArray[np.int64]
    xyz: npt.NDArray[np.float64]
    rgb: npt.NDArray[np.uint8]
    errors: npt.NDArray[np.float64]
    track_starts: npt.NDArray[np.int64]
    tracks: npt.NDArray[np.int32]

    @staticmethod
    def none() -> SparsePoints:
        return SparsePoints.without_tracks(np.zeros((0, 3)), np.zeros((0, 3), np.uint8))

    @staticmethod
    def without_tracks(xyz: npt.NDArray[np.float64], rgb: npt.NDArray[np.uint8]) -> SparsePoints:
        """Points [P, 3] and colours [P, 3] of which nothing more is known; no keypoint has their ids."""
        count = len(xyz)
        return SparsePoints(
            ids=-2 - np.arange(count, dtype=np.int64),
            xyz=xyz,
            rgb=rgb,
            errors=np.zeros(count),
            track_starts=np.zeros(count + 1, np.int64),
            tracks=np.zeros((0, 2), np.int32),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, keep: npt.NDArray[np.bool_]) -> SparsePoints:
        """The points where ``keep`` [P] is true, with their tracks."""
        lengths = np.diff(self.track_starts)
        return SparsePoints(
            self.ids[keep],
            self.xyz[keep],
            self.rgb[keep],
            self.errors[keep],
            np.concatenate([[0], np.cumsum(lengths[keep])]).astype(np.int64),
            self.tracks[np.repeat(keep, lengths)],
        )


@dataclass
class SparseModel:
    """A COLMAP model.

    Attributes:
        folder: where it was read from.
        lenses: by camera id.
        images: in file order.
        points: possibly none.
        warnings: everything that was dropped or looks wrong, a sentence each.
    """

    folder: Path
    lenses: dict[int, Lens]
    images: list[RegisteredImage]
    points: SparsePoints
    warnings: list[str] = field(default_factory=list)
