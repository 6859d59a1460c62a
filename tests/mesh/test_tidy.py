"""Specks go, and a simpler mesh has the same shape."""

from __future__ import annotations

import numpy as np
import trimesh

from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.tidy import simplified, without_specks


def ball(middle: tuple[float, float, float], radius: float, subdivisions: int = 2) -> Mesh:
    made = trimesh.creation.icosphere(subdivisions, radius)
    vertices = (made.vertices + middle).astype(np.float32)
    return Mesh(vertices, made.faces.astype(np.int32), np.uint8(255 * (0.5 + made.vertices / radius / 2)))


def together(*meshes: Mesh) -> Mesh:
    first = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, first, strict=False)]),
        np.concatenate([mesh.colors for mesh in meshes]),
    )


def test_pieces_stay_by_their_area_not_by_their_number_of_triangles() -> None:
    large, speck = ball((0, 0, 0), 1.0, 1), ball((3, 0, 0), 0.1, 3)
    assert len(speck.faces) > len(large.faces)
    both = together(speck, large)
    kept = without_specks(both, 0.02)
    assert (kept.vertices == large.vertices).all()
    assert (kept.colors == large.colors).all()
    assert len(without_specks(both, 0.005).faces) == len(both.faces)
    empty = both.with_faces(both.faces[:0])
    assert without_specks(empty, 0.5) is empty


def test_a_simpler_ball_is_still_a_closed_ball_of_its_colours() -> None:
    mesh = ball((0, 0, 0), 1.0, 4)
    simple = simplified(mesh, 1000)
    assert 800 < len(simple.faces) <= 1000
    assert simple.is_watertight
    assert np.abs(np.linalg.norm(simple.vertices, axis=1) - 1).max() < 0.01
    assert np.abs(simple.colors / 255 - (0.5 + simple.vertices / 2)).max() < 0.1
    assert simplified(mesh, len(mesh.faces)) is mesh
