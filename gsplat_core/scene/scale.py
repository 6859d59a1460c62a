"""The lengths that sizes, steps and near planes of a scene are measured against.

3D Gaussian splatting measures everything by how far the cameras stand apart (`published`): Gaussians larger
than a tenth of that are removed, and their centres learn in proportion to it. That is right where cameras
circle a thing at
the distance at which they see it, and wrong elsewhere: a small baseline tears out what is seen, an outdoor
scene loses its background, and one camera that the reconstruction misplaced makes all of it shake. What
decides how a scene looks is the distance at which things are *seen*, so this is what is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.optics import optics_of

Matrix = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

PUBLISHED_LENGTH = 5.0
"""Scenes for which strengths of noise, anchors and distortion were published are about so large, in their
units."""

# So that the length of an ordinary capture, all around a thing or in a room, is what its published extent
# is: 1.06, 1.41 and 1.23 times the depth on the three scenes that the thresholds were chosen on.
LENGTH_PER_DEPTH = 1.2
# A view that sees fewer points does not tell at which distance it sees them.
_FEWEST_POINTS = 8
# Points that a view is asked about where the reconstruction does not say which ones it sees.
_SAMPLE = 20_000
# Without points: where cameras look is known from their axes if these meet within so many times their spread
# ...
_FARTHEST_FOCUS = 20.0
# ... and otherwise, as in captures that only face forward, the scene is taken to be so far.
_FORWARD = 10.0
# A camera this many times farther from the others than they are, or than they see, is misplaced.
_OUTLIER = 20.0


@dataclass(frozen=True, eq=False)
class SceneScale:
    """How large a scene is.

    Attributes:
        length: 1.2 times the depth at which the median view sees its median point, in scene units.
        published: the extent of 3DGS, 1.1 times the largest distance of a camera from their mean.
        center: [3] float64, around which cameras stand: their median.
        radius: of the ball in which nine tenths of them stand.
        outliers: which cameras stand far from all others, and from all that is seen; their numbers.
    """

    length: float
    published: float
    center: Matrix
    radius: float
    outliers: tuple[int, ...] = ()

    @staticmethod
    def of_extent(extent: float) -> SceneScale:
        """A scene of which only the extent is known, around the origin."""
        return SceneScale(extent, extent, np.zeros(3), 0.0)

    def reach(self, means: Tensor) -> Tensor:
        """[N] the distance at which the cameras see each place of [N, 3], but at least `length`.

        What is large far away is small in every photograph, so sizes are judged by this. It is the distance
        to the ball of the cameras, which is close to that to the nearest camera where it matters, far
        outside.
        """
        center = torch.as_tensor(self.center, dtype=means.dtype, device=means.device)
        return ((means - center).norm(dim=-1) - self.radius).clamp(min=self.length)


def scene_scale(cameras: Sequence[Camera], xyz: Matrix, sightings: Sequence[Rows] = ()) -> SceneScale:
    """The scale of a capture.

    Args:
        cameras: of the training views, at least one.
        xyz: [P, 3] sparse points, possibly none.
        sightings: for each camera the rows of `xyz` that it sees; empty where the reconstruction does not
            say.
    """
    centers = np.stack([camera.center for camera in cameras])
    center = np.median(centers, axis=0)
    distances = np.linalg.norm(centers - center, axis=1)
    radius = float(np.quantile(distances, 0.9, method="lower"))
    published = published_extent(centers)
    depth = _median_depth(cameras, xyz, sightings)
    if depth is None:
        depth = _focus_distance(cameras, centers, radius)
    farthest = _OUTLIER * max(float(np.median(distances)), depth)
    outliers = tuple(int(i) for i in np.flatnonzero(distances > farthest))
    return SceneScale(LENGTH_PER_DEPTH * depth, published or depth, center, radius, outliers)


def published_extent(centers: Matrix) -> float:
    """1.1 times the largest distance of a camera from their mean; 0 for cameras at one place."""
    return 1.1 * float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())


def focus(centers: Matrix, axes: Matrix) -> Matrix:
    """[3] the point nearest to all optical axes, each through a centre [C, 3] along a unit direction [C, 3].

    Least squares: sum (I - d d^T) x = sum (I - d d^T) p.
    """
    projectors = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    rhs = np.einsum("nij,nj->i", projectors, centers)
    # Parallel axes meet nowhere; the pseudo-inverse stays finite.
    return np.linalg.pinv(projectors.sum(0), rcond=1e-6) @ rhs


def _median_depth(cameras: Sequence[Camera], xyz: Matrix, sightings: Sequence[Rows]) -> float | None:
    """Over the views, of the median depth of the points that each sees; None where no view sees enough."""
    sample = xyz[:: max(len(xyz) // _SAMPLE, 1)]
    medians = []
    for index, camera in enumerate(cameras):
        seen = xyz[sightings[index]] if len(sightings) and len(sightings[index]) else None
        depths = points_in_view(camera, sample)[2] if seen is None else _depths(camera, seen)
        depths = depths[depths > 0]
        if len(depths) >= (_FEWEST_POINTS if len(xyz) > 10 * _FEWEST_POINTS else 1):
            medians.append(float(np.median(depths)))
    return float(np.median(medians)) if medians else None


def points_in_view(camera: Camera, xyz: Matrix) -> tuple[Rows, Matrix, Matrix]:
    """Which of the points [P, 3] fall into a camera's image: rows [M], pixels [M, 2] and depths [M]."""
    depths = _depths(camera, xyz)
    rows = np.flatnonzero(depths > 0)
    pixels = optics_of(camera).pixels(_local(camera, xyz[rows]))
    inside = ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(axis=1)
    return rows[inside], pixels[inside], depths[rows[inside]]


def _depths(camera: Camera, xyz: Matrix) -> Matrix:
    return optics_of(camera).depths(_local(camera, xyz))


def _local(camera: Camera, xyz: Matrix) -> Matrix:
    local: Matrix = xyz @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    return local


def _focus_distance(cameras: Sequence[Camera], centers: Matrix, radius: float) -> float:
    """How far from the cameras the place is that they look at; a guess where their axes do not tell."""
    axes = np.stack([camera.viewmat[2, :3] for camera in cameras])
    along = np.einsum("ni,ni->n", focus(centers, axes) - centers, axes)
    distance = float(np.median(along))
    spread = float(np.median(np.linalg.norm(centers - np.median(centers, axis=0), axis=1)))
    if 0 < distance <= _FARTHEST_FOCUS * spread and float((along > 0).mean()) > 0.5:
        return distance
    return _FORWARD * (spread or radius) or 1.0
