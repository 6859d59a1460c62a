"""Truncated signed distances in sparse blocks of voxels, and the mesh of their zeros.

Which shapes the results have follows from values, so there are no fake kernels; nothing is differentiable.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.errors import StaleLibraryError
from gsplat_core.ops import library  # noqa: F401  (loads the operators)

BLOCK_VOXELS = 512
"""8 x 8 x 8"""
VOXEL_VALUES = 6
"""Distance in truncations (positive before the surface), weight, red, green, blue, weight of the colour."""
_REACH = 1 << 20

if not hasattr(torch.ops.gsplat_core, "tsdf_mesh"):
    raise StaleLibraryError("there is no operator tsdf_mesh")


def block_positions(keys: Tensor) -> Tensor:
    """[M, 3] int64: the numbers of blocks along x, y and z; block b has the voxels 8 b to 8 b + 7.

    Args:
        keys: [M] int64.
    """
    return torch.stack([(keys >> shift) % (2 * _REACH) - _REACH for shift in (42, 21, 0)], dim=1)


def tsdf_blocks(
    depths: Tensor, weights: Tensor, viewmat: Tensor, K: Tensor, side: float, truncation: float
) -> Tensor:
    """The blocks that a pinhole camera's rays cross within the truncation of the surface.

    Args:
        depths: [H, W] float32 along the viewing axis.
        weights: [H, W] float32, not positive where nothing is known.
        viewmat: [4, 4] float64, world to camera.
        K: [3, 3] float64.
        side: of a voxel.
        truncation: in the same units, at least a side.

    Returns:
        their keys [M] int64, ascending. What lies more than 2^20 blocks from the origin is left out.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    keys: Tensor = torch.ops.gsplat_core.tsdf_blocks(depths, weights, viewmat, K, side, truncation)
    return keys


def tsdf_integrate_(
    voxels: Tensor,
    keys: Tensor,
    depths: Tensor,
    weights: Tensor,
    colors: Tensor,
    viewmat: Tensor,
    K: Tensor,
    side: float,
    truncation: float,
) -> None:
    """Averages one view into voxels, in place (Curless and Levoy 1996).

    A voxel's distance is measured along the ray of its place in the image and cut off at the truncation; what
    is farther behind the surface than that is not changed.

    Args:
        voxels: [M, BLOCK_VOXELS, VOXEL_VALUES] float32, zeros at first.
        keys: [M] int64, ascending.
        colors: [H, W, 3] float32.
        depths, weights, viewmat, K, side, truncation: as of `tsdf_blocks`.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    torch.ops.gsplat_core.tsdf_integrate(voxels, keys, depths, weights, colors, viewmat, K, side, truncation)


def tsdf_mesh(
    voxels: Tensor, keys: Tensor, side: float, least_weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The mesh of the distances' zeros, by marching tetrahedra.

    Args:
        voxels, keys, side: as of `tsdf_integrate_`.
        least_weight: of a voxel that is trusted.

    Returns:
        vertices [V, 3] float32, faces [F, 3] int32, anticlockwise as seen from before the surface, and
        colours [V, 3] float32. Neighbouring faces share vertices.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    vertices, faces, colors = torch.ops.gsplat_core.tsdf_mesh(voxels, keys, side, least_weight)
    return vertices, faces, colors
