"""A mesh that moves: a folder with one file for each moment, in the order of their names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from gsplat_core.errors import DataError
from gsplat_core.mesh.binding import check_pose
from gsplat_core.mesh.files import ENDINGS, load_mesh
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.scene.gaussians import Gaussians

ARRAYS = ".npy"


def sequence_files(folder: Path) -> list[Path]:
    """The meshes (.ply, .obj, .glb) and arrays of vertices (.npy) of a folder, by name, where `mesh9` comes
    before `mesh10`. Other files are left alone.

    Raises:
        DataError: there is none.
    """
    try:
        files = [path for path in folder.iterdir() if path.suffix.lower() in (*ENDINGS, ARRAYS)]
    except OSError as error:
        raise DataError(folder, f"cannot be read: {error.strerror or error}") from error
    if not files:
        raise DataError(
            folder, f"there is no mesh of a sequence in it ({', '.join((*ENDINGS, ARRAYS))})",
            remedy="Put one file for each moment there.",
        )  # fmt: skip
    return sorted(files, key=lambda path: _counting(path.name))


def _counting(name: str) -> list[tuple[int, str]]:
    """A name in parts, digits as numbers."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def read_vertices(path: Path, rest: Mesh, scene: Gaussians) -> torch.Tensor:
    """Where the vertices of the rest pose are at this moment, [V, 3] float64.

    Args:
        path: a mesh with the faces of the rest pose, or an array [V, 3] of vertices.
        scene: what hangs on it.

    Raises:
        DataError: the file cannot be read, has other faces or another number of vertices, a coordinate that
            is not finite, or no area where Gaussians hang.
    """
    if path.suffix.lower() == ARRAYS:
        vertices = _array(path)
    else:
        mesh = load_mesh(path)
        if len(mesh.vertices) == len(rest.vertices) and not np.array_equal(mesh.faces, rest.faces):
            raise DataError(
                path, "its faces are not those of the mesh that the scene was bound to", remedy=_REMEDY
            )
        vertices = mesh.vertices.astype(np.float64)
    now = torch.from_numpy(vertices)
    try:
        check_pose(scene, rest, now)
    except ValueError as error:
        raise DataError(path, str(error), remedy=_REMEDY) from error
    return now


_REMEDY = "Move the vertices of that mesh and keep their order: without normals and texture, or as .npy."


def _array(path: Path) -> npt.NDArray[np.float64]:
    try:
        # Mapped, so that a header that promises more than there is takes no memory.
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if stored.dtype.kind not in "fiu":
            raise ValueError(f"numbers are expected, and these are {stored.dtype}")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(path, f"is no array of vertices ({error})") from error
    return np.array(stored, np.float64)
