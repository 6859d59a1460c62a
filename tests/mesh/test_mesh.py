"""What a mesh is, and what is known of it by counting."""

from __future__ import annotations

import numpy as np
import pytest

from gsplat_core.mesh.mesh import Mesh

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
OUTWARD = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
GREY = np.full((4, 3), 128, np.uint8)


def test_a_tetrahedron_is_watertight_until_a_face_is_missing_or_turned() -> None:
    mesh = Mesh(CORNERS, OUTWARD, GREY)
    assert mesh.is_watertight
    assert mesh.with_faces(OUTWARD[:3]).open_edges() == 3
    turned = OUTWARD.copy()
    turned[0] = turned[0, ::-1]
    assert not Mesh(CORNERS, turned, GREY).is_watertight
    assert not Mesh(CORNERS, OUTWARD[:0], GREY).is_watertight


def test_areas_and_extent() -> None:
    mesh = Mesh(CORNERS, OUTWARD, GREY)
    assert mesh.areas() == pytest.approx([0.5, 0.5, 0.5, np.sqrt(3) / 2])
    assert mesh.extent == pytest.approx(np.sqrt(3))


def test_fewer_faces_keep_their_vertices_only() -> None:
    colors = np.arange(12, dtype=np.uint8).reshape(4, 3)
    part = Mesh(CORNERS, OUTWARD, colors).with_faces(OUTWARD[3:])
    assert (part.vertices == CORNERS[1:]).all()
    assert (part.colors == colors[1:]).all()
    assert part.faces.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (CORNERS * np.float32("nan"), OUTWARD, "vertex 0 is not finite"),
        (CORNERS, OUTWARD + 1, "names a vertex that is not among the 4"),
        (CORNERS, OUTWARD - 1, "names a vertex that is not among the 4"),
        (CORNERS[:, :2], OUTWARD, r"vertices: expected shape \[\?, 3\]"),
        (CORNERS[:3], OUTWARD, "3 vertices and 4 colours"),
    ],
)
def test_what_is_no_mesh_is_refused(vertices, faces, message) -> None:
    with pytest.raises(ValueError, match=message):
        Mesh(vertices, faces, GREY)
