"""Distances to a mesh are those to its triangles, not to its vertices."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from gsplat_core.mesh.distances import distances_to_mesh, surface_samples
from gsplat_core.mesh.mesh import Mesh


def cube() -> Mesh:
    made = trimesh.creation.box((2, 2, 2))
    return Mesh(
        made.vertices.astype(np.float32),
        made.faces.astype(np.int32),
        np.zeros((len(made.vertices), 3), np.uint8),
    )


def test_points_around_a_cube() -> None:
    points = np.random.default_rng(0).uniform(-2, 2, (500, 3))
    beyond = np.abs(points) - 1
    exact = np.abs(np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0))
    assert distances_to_mesh(points, cube()) == pytest.approx(exact, abs=1e-6)


def test_samples_are_on_their_faces_and_even() -> None:
    mesh = cube()
    points, faces = surface_samples(mesh, 24_000)
    assert np.abs(np.abs(points).max(axis=1) - 1).max() < 1e-6
    assert np.bincount(faces).tolist() == [2000] * 12
    # Each ninth of a side has a ninth of its samples.
    top = points[points[:, 2] > 1 - 1e-6, :2]
    counts = np.histogram2d(*top.T, bins=3, range=[[-1, 1], [-1, 1]])[0]
    assert counts == pytest.approx(4000 / 9, rel=0.1)


def test_a_mesh_without_faces_is_nowhere() -> None:
    mesh = cube()
    with pytest.raises(ValueError, match="without faces"):
        distances_to_mesh(np.zeros((1, 3)), mesh.with_faces(mesh.faces[:0]))
