"""Gaussians of X-ray photographs (Cai et al. 2024, "X-Gaussian"): blended as in 3DGS, the same from
everywhere.

X-Gaussian takes the directions out of the spherical harmonics. What remains of the 16 coefficients f_j of a
channel is one number, max(0, 0.5 + sum_j k_j f_j), with k_j the constants in front of the harmonics, and so
they are the same as a plain Gaussian whose only coefficient is sum_j k_j f_j / k_0. That is what is trained
here, and what files have.

An opacity is no density: these Gaussians predict projections, and there is no volume of them.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import SH_C0
from gsplat_core.tomography.grid import Grid

_CONSTANTS = (
    SH_C0,
    -0.4886025119029199, 0.4886025119029199, -0.4886025119029199,
    1.0925484305920792, -1.0925484305920792, 0.31539156525252005, -1.0925484305920792, 0.5462742152960396,
    -0.5900435899266435, 2.890611442640554, -0.4570457994644658, 0.3731763325901154, -0.4570457994644658,
    1.445305721320277, -0.5900435899266435,
)  # fmt: skip
"""k, of up to 16 coefficients."""


def folded(scene: Gaussians) -> Gaussians:
    """The plain Gaussians that look like a scene of X-Gaussian, whose coefficients act without directions;
    its images are the means of the three channels.

    Raises:
        ValueError: it has harmonics of a degree above 3.
    """
    coefficients = torch.cat([scene.sh0, scene.shN], dim=1)
    if coefficients.shape[1] > len(_CONSTANTS):
        raise ValueError(f"X-Gaussian has harmonics up to degree 3, this scene up to {scene.sh_degree}")
    constants = coefficients.new_tensor(_CONSTANTS[: coefficients.shape[1]])
    sums = (constants[:, None] * coefficients).sum(dim=1) / SH_C0
    return dataclasses.replace(scene, sh0=sums[:, None], shN=scene.shN[:, :0])


def cuboid(grid: Grid, interval: int) -> Tensor:
    """[N, 3] float32 the centres of every so many-th voxel along each axis: where X-Gaussian starts."""
    return grid.points()[::interval, ::interval, ::interval].reshape(-1, 3).float().contiguous()
