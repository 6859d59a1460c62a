"""How far points are from a mesh."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.packages import package

# Samples of the surface tell which triangles are near; the distances to these are exact.
_SAMPLES = 400_000
_NEAREST = 8
_POINTS_AT_A_TIME = 50_000


def surface_samples(mesh: Mesh, count: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """About `count` points spread over the surface by area, at least one on each face.

    Returns:
        points [S, 3] and their faces [S]. The same for each call.
    """
    areas = mesh.areas()
    each = np.maximum(1, np.floor(count * areas / max(float(areas.sum()), 1e-300))).astype(np.int64)
    faces = np.repeat(np.arange(len(areas)), each)
    number = np.arange(len(faces)) - np.repeat(np.cumsum(each) - each, each)
    # The first on a face is its centroid, the others follow the R2 sequence (Roberts 2018), folded.
    u, v = (1 / 3 + number * 0.7548776662466927) % 1, (1 / 3 + number * 0.5698402909980532) % 1
    outside = u + v > 1
    u, v = np.where(outside, 1 - u, u), np.where(outside, 1 - v, v)
    a, b, c = mesh.vertices[mesh.faces[faces]].astype(np.float64).transpose(1, 0, 2)
    return a + u[:, None] * (b - a) + v[:, None] * (c - a), faces


def distances_to_mesh(points: npt.NDArray[np.float64], mesh: Mesh) -> npt.NDArray[np.float64]:
    """[P] distance of each point [P, 3] to the surface.

    It is that to a nearby triangle, hence never less than the true one, and more only where the nearest
    triangle has none of the eight samples nearest to the point.

    Raises:
        ValueError: the mesh has no faces.
        UsageError: scipy or trimesh is not installed.
    """
    if not len(mesh.faces):
        raise ValueError("a mesh without faces is nowhere")
    samples, faces = surface_samples(mesh, _SAMPLES)
    tree, closest = package("scipy.spatial").cKDTree(samples), package("trimesh.triangles").closest_point
    triangles = mesh.vertices[mesh.faces].astype(np.float64)
    nearest = min(_NEAREST, len(samples))
    result = np.empty(len(points))
    for start in range(0, len(points), _POINTS_AT_A_TIME):
        some = np.asarray(points[start : start + _POINTS_AT_A_TIME], np.float64)
        rows = tree.query(some, k=nearest)[1].reshape(len(some), nearest)
        feet = closest(triangles[faces[rows.ravel()]], np.repeat(some, nearest, axis=0))
        apart = np.linalg.norm(feet.reshape(len(some), nearest, 3) - some[:, None], axis=2)
        result[start : start + len(some)] = apart.min(axis=1)
    return result
