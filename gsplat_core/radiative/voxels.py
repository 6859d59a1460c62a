"""Values of a field on a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gsplat_core.ops.radiative import LEAST
from gsplat_core.ops.radiative import voxelize as voxelize_op
from gsplat_core.radiative.arguments import check_field, check_threshold
from gsplat_core.render import stages
from gsplat_core.render.settings import RenderSettings

# No dilation, and lists of columns of voxels in tiles of the kernels' size, csrc/raster/radiative.h.
_SETTINGS = RenderSettings(eps2d=0.0, near_plane=0.0, tile_size=8)


def voxelize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    densities: Tensor,
    *,
    origin: Sequence[float],
    spacing: float | Sequence[float],
    shape: Sequence[int],
    threshold: float = 1e-6,
) -> Tensor:
    """The density of a field of Gaussians at the centres of voxels.

    Args:
        means: [N, 3] centres.
        quats: [N, 4] orientations (w, x, y, z), of any length but zero.
        scales: [N, 3] standard deviations, lengths.
        densities: [N] at the centres; negative ones count as zero.
        origin: the corner of voxel (0, 0, 0), whose centre is half a voxel further along each axis.
        spacing: size of a voxel along the axes, or of a cube.
        shape: how many voxels there are along x, y and z. A part of a grid is a grid of its own.
        threshold: a Gaussian's contributions to voxels below this are left out, by the gradients too.

    Returns:
        [nx, ny, nz], differentiable by all tensors.

    Raises:
        ValueError: an argument does not fit; the message names it.
    """
    check_field(means, quats, scales, densities)
    check_threshold(threshold)
    sizes = [spacing] * 3 if isinstance(spacing, (int, float)) else list(spacing)
    corner, counts = [float(x) for x in origin], [int(n) for n in shape]
    if len(corner) != 3 or not all(map(math.isfinite, corner)):
        raise ValueError(f"argument 'origin' must be three finite numbers, got {origin!r}")
    if len(sizes) != 3 or not all(math.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"argument 'spacing' must be one or three positive numbers, got {spacing!r}")
    if len(counts) != 3 or not all(count > 0 for count in counts):
        raise ValueError(f"argument 'shape' must be three positive numbers, got {shape!r}")
    (x, y, _), (dx, dy, _) = corner, sizes
    unit = threshold / LEAST
    opacities = densities / unit
    with torch.no_grad():
        # Which columns along z see a Gaussian is what a parallel beam along z tells, x being downwards.
        viewmats = means.new_tensor([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]])
        Ks = means.new_tensor([[1 / dy, 0, -y / dy], [0, 1 / dx, -x / dx], [0, 0, 1]])
        splats = stages.project(
            means[None], quats[None], scales[None], None, opacities[None], viewmats[None, None],
            Ks[None, None], counts[1], counts[0], _SETTINGS, camera="ortho",
        )  # fmt: skip
        lists = stages.bin_splats(splats, counts[1], counts[0], _SETTINGS)
    volume: Tensor = voxelize_op(
        means, quats, scales, opacities, splats.radii[0, 0], lists.offsets, lists.flatten_ids, corner, sizes,
        *counts, unit,
    )  # fmt: skip
    return volume
