"""Files of meshes, by trimesh: .ply, .obj and .glb, with colours of vertices."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io.atomic import write_bytes
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.packages import package

ENDINGS = (".ply", ".obj", ".glb")
_GREY = 200


def check_ending(path: str | os.PathLike[str]) -> str:
    """The ending of a mesh's name.

    Raises:
        UsageError: no mesh is called so.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"{os.fspath(path)}: meshes are written as {', '.join(ENDINGS)}; name the file so.")
    return ending


def save_mesh(path: str | os.PathLike[str], mesh: Mesh) -> None:
    """Writes a mesh, whole or not at all, in the format that the name's ending says.

    Raises:
        UsageError: there is no such format, or trimesh is not installed.
        ResourceError: the file cannot be written.
    """
    ending = check_ending(path)
    made = package("trimesh").Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False)
    content = made.export(file_type=ending[1:])
    write_bytes(path, content.encode() if isinstance(content, str) else content)


def load_mesh(path: str | os.PathLike[str]) -> Mesh:
    """Reads a mesh; one without colours is grey. All meshes of a file become one.

    Raises:
        UsageError: the ending is none of a mesh, or trimesh is not installed.
        DataError: the file is not there, is damaged, has no faces, or a coordinate that is not finite.
    """
    ending = check_ending(path)
    trimesh = package("trimesh")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}") from error
    try:
        loaded = trimesh.load_mesh(trimesh.util.wrap_as_stream(content), file_type=ending[1:], process=False)
    except Exception as error:  # of damaged files trimesh says whatever its parsers run into
        raise DataError(
            path, f"is not a readable {ending} mesh ({error})", remedy="Export it again."
        ) from error
    faces = np.asarray(getattr(loaded, "faces", ()))
    if not faces.size:
        raise DataError(
            path,
            "has no faces",
            remedy="A file of splats or points is no mesh; `gsplat-core mesh` makes one.",
        )
    try:
        return Mesh(np.asarray(loaded.vertices, np.float32), faces.astype(np.int32), _colors(loaded))
    except ValueError as error:
        raise DataError(path, str(error), remedy="Export the mesh again.") from error


def _colors(loaded: Any) -> np.ndarray:
    grey = np.full((len(loaded.vertices), 3), _GREY, np.uint8)
    if loaded.visual.kind != "vertex":
        return grey
    return np.array(loaded.visual.vertex_colors[:, :3], np.uint8)
