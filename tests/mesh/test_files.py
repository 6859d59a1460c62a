"""Meshes in files: what is written is read again, and what is no mesh is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gsplat_core.errors import DataError, UsageError
from gsplat_core.mesh import Mesh, load_mesh, save_mesh
from gsplat_core.mesh.files import ENDINGS

TETRAHEDRON = Mesh(
    np.array([[0.1, 0, 0], [1, 0.25, 0], [0, 1, 0], [0, 0, 1]], np.float32),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32),
    np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]], np.uint8),
)
PLY = """ply
format ascii 1.0
element vertex 3
property float x
property float y
property float z
element face {faces}
property list uchar int vertex_indices
end_header
0 0 0
1 0 {z}
0 1 0
"""


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_is_read_again(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mesh{ending}"
    save_mesh(path, TETRAHEDRON)
    read = load_mesh(path)
    assert read.vertices == pytest.approx(TETRAHEDRON.vertices, abs=1e-6)
    assert (read.faces == TETRAHEDRON.faces).all()
    assert (read.colors == TETRAHEDRON.colors).all()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_mesh_without_colours_is_grey(tmp_path: Path) -> None:
    path = tmp_path / "mesh.ply"
    path.write_text(PLY.format(faces=1, z=0) + "3 0 1 2\n")
    assert (load_mesh(path).colors == load_mesh(path).colors[0, 0]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (PLY.format(faces=1, z="nan") + "3 0 1 2\n", "vertex 1 is not finite"),
        (PLY.format(faces=0, z=0), "has no faces"),
        (PLY.format(faces=1, z=0) + "3 0 1 7\n", "mesh"),
        ("ply\nnothing\n", "not a readable .ply mesh"),
        ("", "not a readable .ply mesh"),
    ],
)
def test_what_is_no_mesh_is_told_with_its_file(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mesh.ply"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as raised:
        load_mesh(path)
    assert raised.value.path == str(path)


@pytest.mark.parametrize("ending", [".ply", ".glb"])
def test_a_file_that_is_cut_off_is_told(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mesh{ending}"
    save_mesh(path, TETRAHEDRON)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"mesh\."):
        load_mesh(path)


def test_a_file_that_is_not_there_and_an_ending_of_no_mesh(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        load_mesh(tmp_path / "mesh.ply")
    with pytest.raises(UsageError, match=r"\.ply, \.obj, \.glb"):
        save_mesh(tmp_path / "mesh.stl", TETRAHEDRON)
    assert not list(tmp_path.iterdir())
