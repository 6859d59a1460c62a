"""The cameras that the rasterizer knows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gsplat_core.pinhole import intrinsics_problem, pose_problem
from gsplat_core.render.variants import CAMERAS

Matrix = npt.NDArray[np.float64]

# Of the rasterizer; right where nothing is known of a scene's units.
DEFAULT_NEAR = 0.01
# Where the distance is known at which a scene is seen, its near plane is at this fraction of it.
NEAR_PER_DISTANCE = 0.002


@dataclass(frozen=True, eq=False)
class Camera:
    """A posed camera in COLMAP's convention: x right, y down, z forward, pixel centres at +0.5.

    Attributes:
        viewmat: [4, 4] world-to-camera, rigid.
        K: [3, 3] intrinsics in pixels, no skew.
        width, height: image size in pixels.
        name: what the view is called, usually the image's file name.
        near: what is nearer along the viewing axis is not drawn, in scene units.
        model: how points become pixels, one of `gsplat_core.render.variants.CAMERAS`.
        lens: the coefficients that the model has beyond K.

    Raises:
        ValueError: a matrix is none that a camera can have (`gsplat_core.pinhole`), the size is not positive,
            or there is no such model or it has another number of coefficients.
    """

    viewmat: Matrix
    K: Matrix
    width: int
    height: int
    name: str = ""
    near: float = DEFAULT_NEAR
    model: str = "pinhole"
    lens: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, matrix, side, problem in (
            ("viewmat", self.viewmat, 4, pose_problem),
            ("K", self.K, 3, intrinsics_problem),
        ):
            if np.shape(matrix) != (side, side):
                raise ValueError(f"{name}: expected shape [{side}, {side}], got {list(np.shape(matrix))}")
            if found := problem(np.asarray(matrix).tolist()):
                raise ValueError(f"{name} {found}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"width and height must be positive, got {self.width} x {self.height}")
        if self.model not in CAMERAS:
            raise ValueError(f"model must be one of {', '.join(map(repr, CAMERAS))}, got {self.model!r}")
        if len(self.lens) != CAMERAS[self.model]:
            raise ValueError(
                f"lens must have {CAMERAS[self.model]} coefficients for a camera of the model "
                f"{self.model!r}, got {len(self.lens)}"
            )

    @property
    def center(self) -> Matrix:
        """[3] position in the world: -R^T t."""
        return center_of(self.viewmat)

    def resized(self, width: int, height: int) -> Camera:
        """The same view on a grid of another size; each axis of K scales on its own."""
        K = scaled_intrinsics(self.K, width / self.width, height / self.height)
        return replace(self, K=K, width=width, height=height)


def center_of(viewmat: Matrix) -> Matrix:
    """[3] position in the world of a camera with a [4, 4] rigid world-to-camera matrix."""
    center: Matrix = -viewmat[:3, :3].T @ viewmat[:3, 3]
    return center


def scaled_intrinsics(K: Matrix, x: float, y: float) -> Matrix:
    """K for an image that is ``x`` times as wide and ``y`` times as high."""
    return np.diag([x, y, 1.0]) @ K


def rigid(rotation: Matrix, translation: Matrix) -> Matrix:
    """[4, 4] matrix that rotates, then translates."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation
    return matrix
