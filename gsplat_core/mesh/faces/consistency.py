"""Neighbouring faces that shall have one normal."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gsplat_core.mesh.faces.layout import rows_of
from gsplat_core.mesh.mesh import Mesh


def neighbors(mesh: Mesh) -> Tensor:
    """[E, 4] int64, for each edge between two faces: its ends, and the corners that are opposite to it.

    Where more faces share an edge, each with the next one.
    """
    faces = mesh.faces.astype(np.int64)
    ends = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    opposite = faces[:, [2, 0, 1]].reshape(-1)
    order = np.lexsort((opposite, ends[:, 1], ends[:, 0]))
    ends, opposite = ends[order], opposite[order]
    same = np.flatnonzero((ends[1:] == ends[:-1]).all(axis=1))
    return torch.from_numpy(np.column_stack([ends[same], opposite[same], opposite[same + 1]]))


def normal_consistency(vertices: Tensor, edges: Tensor) -> Tensor:
    """The mean of 1 - n . n' over edges, n and n' the normals of their faces: 0 where the mesh is flat.

    It does not matter on which side of a face its front is.

    Args:
        vertices: [V, 3].
        edges: [E, 4] of `neighbors`, at least one.
    """
    start, end, left, right = rows_of(vertices, edges.to(vertices.device)).unbind(1)
    along = end - start
    first = torch.linalg.cross(along, left - start)
    second = torch.linalg.cross(right - start, along)
    return (1 - torch.nn.functional.cosine_similarity(first, second, dim=1, eps=1e-30)).mean()
