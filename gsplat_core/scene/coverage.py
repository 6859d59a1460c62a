"""Where in its photographs a reconstruction has no points: skies, plain walls, leaves that no feature was
matched on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gsplat_core.scene.cameras import Camera, Matrix
from gsplat_core.scene.scale import points_in_view

# A capture has a sky if this share of its photographs' area is open; rooms have 1 percent.
_OPEN_SHARE = 0.05
# And gaps if this share is enclosed; rooms have 0.3 percent.
_ENCLOSED_SHARE = 0.01
_SAMPLE = 50_000
# Cells along the longer side of a photograph.
_CELLS = 24

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Coverage:
    """The cells of one photograph, row by row.

    Attributes:
        side: of a cell, in pixels.
        pixels: [M, 2] where the points are that fall into the image.
        depths: [M] of these.
        enclosed: [rows, columns] no point in this cell or beside it, but points to all four sides of it.
        open: [rows, columns] no point in this cell or beside it, and none beyond on some side, as in a sky.
    """

    side: float
    pixels: Matrix
    depths: Matrix
    enclosed: Mask
    open: Mask

    def centers(self, cells: Mask) -> Matrix:
        """[K, 2] pixels in the middle of those cells."""
        rows, columns = np.nonzero(cells)
        middles: Matrix = (np.stack([columns, rows], axis=1).astype(np.float64) + 0.5) * self.side
        return middles


def coverages(cameras: Sequence[Camera], xyz: Matrix) -> list[Coverage]:
    """How the points [P, 3] cover each photograph; of very many, evenly chosen ones tell it as well."""
    sample = xyz[:: max(len(xyz) // _SAMPLE, 1)]
    return [coverage(camera, sample) for camera in cameras]


def coverage(camera: Camera, xyz: Matrix) -> Coverage:
    """How the points [P, 3] cover the image of a camera."""
    side = max(camera.width, camera.height) / _CELLS
    rows, columns = int(np.ceil(camera.height / side)), int(np.ceil(camera.width / side))
    _, pixels, depths = points_in_view(camera, xyz)
    count = np.zeros((rows, columns), np.int64)
    cell = np.minimum((pixels / side).astype(np.int64), (columns - 1, rows - 1))
    np.add.at(count, (cell[:, 1], cell[:, 0]), 1)
    around = np.pad(count, 1)
    near = sum(around[y : y + rows, x : x + columns] for y in range(3) for x in range(3))
    empty = near == 0
    sides = _sides_with_points(count)
    return Coverage(side, pixels, depths, empty & (sides == 4), empty & (sides < 4))


def has_sky(covered: Sequence[Coverage]) -> bool:
    """Whether much of what the photographs show lies beyond all points."""
    return bool(np.mean([cover.open.mean() for cover in covered]) >= _OPEN_SHARE)


def has_gaps(covered: Sequence[Coverage]) -> bool:
    """Whether much of what the photographs show lies between points, but has none."""
    return bool(np.mean([cover.enclosed.mean() for cover in covered]) >= _ENCLOSED_SHARE)


def _sides_with_points(count: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """[rows, columns] to how many sides of each cell there are points: up, down, left, right, 90 degrees
    each.
    """
    ys, xs = np.nonzero(count)
    dy = ys - np.arange(count.shape[0])[:, None, None]
    dx = xs - np.arange(count.shape[1])[None, :, None]
    steep, flat = abs(dy) >= abs(dx), abs(dx) >= abs(dy)
    sides = [(dy < 0) & steep, (dy > 0) & steep, (dx < 0) & flat, (dx > 0) & flat]
    return np.sum([side.any(axis=2) for side in sides], axis=0)
