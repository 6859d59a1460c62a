"""Gaussians of measured points: discs on the surface that they are from (GS-LIVO, Hong et al. 2024)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from gsplat_core.ops.neighbors import knn
from gsplat_core.quaternions import quaternions_of
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh0_of

THICKNESS = 0.3
"""Of a disc, in its radius: thinner ones are hard to move."""
_NEIGHBORS = 8


def discs(
    points: Tensor, normals: Tensor, colors: Tensor, sizes: Tensor, opacity: float = 0.9, sh_degree: int = 0
) -> Gaussians:
    """
    Args:
        points, normals, colors: [N, 3]; normals of any length but zero, colours in [0, 1].
        sizes: [N] standard deviations along the surface, scene units.
        opacity: of all.
    """
    num = len(points)
    return Gaussians(
        means=points.float().contiguous(),
        quats=_facing(normals.float()),
        scales=torch.stack([sizes, sizes, THICKNESS * sizes], dim=1).float().log(),
        opacities=torch.full((num,), math.log(opacity / (1 - opacity))),
        sh0=sh0_of(colors.float())[:, None].contiguous(),
        shN=torch.zeros(num, (sh_degree + 1) ** 2 - 1, 3),
    )


def _facing(normals: Tensor) -> Tensor:
    """[N, 4] rotations whose third axis is the normal."""
    normal = torch.nn.functional.normalize(normals, dim=1)
    least = torch.nn.functional.one_hot(normal.abs().argmin(dim=1), 3).to(normal)
    first = torch.nn.functional.normalize(torch.linalg.cross(least, normal), dim=1)
    return quaternions_of(torch.stack([first, torch.linalg.cross(normal, first), normal], dim=2))


def fitted_normals(points: Tensor) -> Tensor:
    """[N, 3] unit normals of the planes that fit each point [N, 3] and its 8 nearest best, of either sign."""
    count = min(_NEIGHBORS, len(points) - 1)
    if count < 2:
        return torch.tensor([0.0, 0.0, 1.0]).expand(len(points), 3)
    nearest = points[knn(points.float(), count)[0]]
    around = torch.cat([points[:, None], nearest], dim=1).double()
    around = around - around.mean(dim=1, keepdim=True)
    return torch.linalg.eigh(around.mT @ around).eigenvectors[..., 0].float()


def one_of_each(points: Tensor, side: float) -> Tensor:
    """The numbers of points [N, 3], ascending, of which no two are in one cube of a grid: the first of each
    cube."""
    cubes = np.floor(points.double().numpy() / side).astype(np.int64)
    return torch.from_numpy(np.sort(np.unique(cubes, axis=0, return_index=True)[1]))
