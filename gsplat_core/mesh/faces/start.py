"""The scene that a training on the faces of a mesh starts with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gsplat_core.mesh.binding import FACE
from gsplat_core.mesh.faces.layout import Layout
from gsplat_core.mesh.faces.model import FaceModel
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients, sh0_of


def started(
    mesh: Mesh, layout: Layout, model: FaceModel, extent: float, opacity: float, sh_degree: int, seed: int
) -> Gaussians:
    """Gaussians on all faces, in the mesh's colours, which hang on it.

    Args:
        extent: of the scene, of which the thickness is a share.
        opacity: of each, in (0, 1).
        seed: of what is random of the model.
    """
    count = layout.per_face
    tensors = model.tensors(layout.num, count, seed)
    corners = layout.corners(torch.from_numpy(mesh.vertices))
    flat = model.radii(corners, count).log().repeat_interleave(count, dim=0)
    thickness = torch.full((layout.num, 1), math.log(model.thickness * extent))
    placed = model.placed(corners, tensors, torch.cat([flat, thickness], dim=1), count)
    colors = layout.corners(torch.from_numpy(mesh.colors).float() / 255)
    return Gaussians(
        *placed,
        opacities=torch.full((layout.num,), math.log(opacity / (1 - opacity))),
        sh0=sh0_of(_at(model.weights(tensors, count), colors, count))[:, None],
        shN=torch.zeros(layout.num, num_coefficients(sh_degree) - 1, 3),
        extras={FACE: layout.of_rows().int()},
    )


def _at(weights: Tensor, corners: Tensor, count: int) -> Tensor:
    """[N, 3] what is between the corners [F, 3, 3], at weights [N, 3] or, for each face alike, [K, 3]."""
    each = weights.to(corners).reshape(-1, count, 3)
    return (each @ corners).reshape(-1, 3)
