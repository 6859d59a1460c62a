"""A folder of meshes in the order of their names; what does not fit the rest pose is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from splat_files import typical_scene

from gsplat_core.errors import DataError
from gsplat_core.mesh import Mesh, save_mesh
from gsplat_core.mesh.binding import bind
from gsplat_core.mesh.sequence import read_vertices, sequence_files

REST = Mesh(
    np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32),
    np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32),
    np.zeros((4, 3), np.uint8),
)
MOVED = np.array([[0.1, 0, 0], [2, 0.3, 0], [0, 1, -0.5], [0, 0.25, 1]], np.float32)
SCENE = bind(typical_scene(30), REST)[0]


def test_files_come_by_their_names_and_numbers_count(tmp_path: Path) -> None:
    names = ["a2.npy", "a10.ply", "b1.OBJ", "c.glb"]
    for name in [*reversed(names), "notes.txt", "a1.stl"]:
        (tmp_path / name).touch()
    assert [path.name for path in sequence_files(tmp_path)] == names


@pytest.mark.parametrize("ending", [".ply", ".obj", ".glb", ".npy"])
def test_vertices_are_those_of_the_file(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"mesh{ending}"
    if ending == ".npy":
        np.save(path, MOVED)
    else:
        save_mesh(path, replace(REST, vertices=MOVED))
    vertices = read_vertices(path, REST, SCENE)
    assert vertices.dtype == torch.float64
    assert vertices.numpy() == pytest.approx(MOVED, abs=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (MOVED[:3], r"vertices \[3, 3\] of a mesh that has \[4, 3\]"),
        (MOVED.ravel(), r"vertices \[12\] of a mesh"),
        (np.where(MOVED == 2, np.nan, MOVED), "vertex 1 is not finite"),
        (MOVED * 0, "which Gaussians hang on, has no area"),
        (MOVED.astype(str), "numbers are expected"),
        (np.array([{}]), "is no array of vertices"),
    ],
)
def test_an_array_that_does_not_fit_is_told(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "mesh.npy", array)
    with pytest.raises(DataError, match=message) as raised:
        read_vertices(tmp_path / "mesh.npy", REST, SCENE)
    assert raised.value.path == str(tmp_path / "mesh.npy")


def test_an_array_that_is_damaged_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mesh.npy"
    np.save(path, MOVED)
    whole = path.read_bytes()
    for content in (b"", whole[:20], whole[:-1], whole[:-48], whole.replace(b"(4, 3)", b"(4444444444, 3)")):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"mesh\.npy"):
            read_vertices(path, REST, SCENE)


@pytest.mark.parametrize("faces", [REST.faces[:, ::-1], REST.faces[:3]])
def test_a_mesh_of_other_faces_is_told(faces: np.ndarray, tmp_path: Path) -> None:
    save_mesh(tmp_path / "mesh.ply", replace(REST, faces=np.ascontiguousarray(faces)))
    with pytest.raises(DataError, match=r"mesh\.ply: its faces are not those of the mesh"):
        read_vertices(tmp_path / "mesh.ply", REST, SCENE)


def test_a_folder_of_nothing_and_no_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no mesh of a sequence in it"):
        sequence_files(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        sequence_files(tmp_path / "nowhere")
