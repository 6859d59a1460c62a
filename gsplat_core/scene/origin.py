"""Where the origin of coordinates is put, so that float32 keeps their detail; and which are too large.

float32 has 24 bits: at a distance of D from the origin positions lie on a grid of D / 2^24. With the scene at
30 times its own size that is 1/500,000 of its size, 1/500 of a pixel in a photograph of 1,000 pixels, and the
last steps of the published schedule of positions, 1.6e-6 of its size, are still steps. Farther away (surveyed
coordinates such as UTM; an extent of 10 m at 5,000 m) the scene is moved, in float64, before it is rounded.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from gsplat_core.scene.cameras import Matrix

FAR_AWAY = 30.0
# Squares of float32 overflow not far beyond; the Earth is 1e13 micrometres wide.
LARGEST_COORDINATE = 1e15


def far_offset(centers: Matrix, xyz: Matrix) -> Matrix:
    """[3] what to subtract from all coordinates: the middle of the cameras, rounded so that people can type
    it, or zeros where the scene is near enough to the origin.

    Medians, so that no single camera or point moves everything.

    Args:
        centers: [C, 3] float64 positions of all cameras.
        xyz: [P, 3] float64 points, possibly none.
    """
    middle = np.median(centers, axis=0)
    reach = max(_reach(centers, middle), _reach(xyz, middle))
    distance = float(np.linalg.norm(middle))
    if not reach or distance < FAR_AWAY * reach:
        return np.zeros(3)
    digits = max(0, -math.floor(math.log10(reach)))
    return np.round(middle, digits) + 0.0  # no -0.0


def _reach(places: Matrix, middle: Matrix) -> float:
    """The median distance from the middle; 0 for no places."""
    return float(np.median(np.linalg.norm(places - middle, axis=1))) if len(places) else 0.0


def usable_points(xyz: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """[P] whether the coordinates [P, 3] are finite and such as a reconstruction can have."""
    return np.asarray((np.abs(xyz) <= LARGEST_COORDINATE).all(axis=1))


def left_out_points(usable: npt.NDArray[np.bool_]) -> str:
    """The sentence about points that `usable_points` refuses."""
    return (
        f"{np.sum(~usable)} 3D points of {len(usable)} are left out: their coordinates are not finite or "
        f"beyond {LARGEST_COORDINATE:g}."
    )
