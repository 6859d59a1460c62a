"""How far points are from a mesh."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.packages import package
from gsplat_core.ops.neighbors import knn

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


def nearest_faces(
    points: npt.NDArray[np.float64], mesh: Mesh
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The face that is nearest to each point [P, 3], and the distance to it.

    It is one of the faces of the eight samples nearest to the point: so the distance is never less than the
    true one, and more only where the nearest face has none of them.

    Returns:
        faces [P] and distances [P].

    Raises:
        ValueError: the mesh has no faces.
        UsageError: trimesh is not installed.
    """
    if not len(mesh.faces):
        raise ValueError("a mesh without faces is nowhere")
    samples, faces = surface_samples(mesh, _SAMPLES)
    closest = package("trimesh.triangles").closest_point
    triangles = mesh.vertices[mesh.faces].astype(np.float64)
    points = np.asarray(points, np.float64)
    # Candidates are told apart in float32, so around the mesh.
    middle, nearest = samples.mean(axis=0), min(_NEAREST, len(samples))
    around, places = (torch.from_numpy((xyz - middle).astype(np.float32)) for xyz in (samples, points))
    candidates = faces[knn(around, nearest, places)[0].numpy()]
    found, distances = np.empty(len(points), np.int64), np.empty(len(points))
    for start in range(0, len(points), _POINTS_AT_A_TIME):
        some = points[start : start + _POINTS_AT_A_TIME]
        near = candidates[start : start + _POINTS_AT_A_TIME]
        feet = closest(triangles[near.ravel()], np.repeat(some, nearest, axis=0))
        apart = np.linalg.norm(feet.reshape(len(some), nearest, 3) - some[:, None], axis=2)
        rows, best = np.arange(len(some)), apart.argmin(axis=1)
        found[start : start + len(some)] = near[rows, best]
        distances[start : start + len(some)] = apart[rows, best]
    return found, distances


def distances_to_mesh(points: npt.NDArray[np.float64], mesh: Mesh) -> npt.NDArray[np.float64]:
    """[P] distance of each point [P, 3] to the surface, as `nearest_faces` finds it.

    Raises:
        ValueError: the mesh has no faces.
        UsageError: trimesh is not installed.
    """
    return nearest_faces(points, mesh)[1]
