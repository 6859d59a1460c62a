"""Removing specks from a mesh, and making it of fewer triangles."""

from __future__ import annotations

import numpy as np
import torch

from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.packages import package
from gsplat_core.ops.neighbors import knn


def without_specks(mesh: Mesh, share: float) -> Mesh:
    """Only the connected pieces whose area is at least `share` of that of the largest one.

    Raises:
        UsageError: scipy is not installed.
    """
    if not len(mesh.faces):
        return mesh
    csgraph, sparse = package("scipy.sparse.csgraph"), package("scipy.sparse")
    first, second = mesh.faces[:, [0, 1]].T, mesh.faces[:, [1, 2]].T
    ends = np.concatenate([first, second], axis=1)
    count = len(mesh.vertices)
    edges = sparse.coo_matrix((np.ones(ends.shape[1], np.bool_), ends), shape=(count, count))
    pieces, of_vertex = csgraph.connected_components(edges, directed=False)
    of_face = of_vertex[mesh.faces[:, 0]]
    areas = np.bincount(of_face, mesh.areas(), minlength=pieces)
    return mesh.with_faces(mesh.faces[(areas >= share * areas.max())[of_face]])


def simplified(mesh: Mesh, triangles: int) -> Mesh:
    """A mesh of about so many triangles at most (quadric error metrics; Garland and Heckbert 1997).

    Vertices take the colour of the nearest one that there was.

    Raises:
        UsageError: fast-simplification is not installed.
    """
    if len(mesh.faces) <= triangles:
        return mesh
    vertices, faces = package("fast_simplification").simplify(
        mesh.vertices, mesh.faces, target_count=triangles
    )[:2]
    vertices = vertices.astype(np.float32)
    nearest = knn(torch.from_numpy(mesh.vertices), 1, torch.from_numpy(vertices))[0][:, 0].numpy()
    made = Mesh(vertices, faces.astype(np.int32), mesh.colors[nearest])
    return made.with_faces(made.faces)
