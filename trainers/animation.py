"""A scene that was bound to a mesh (`gsplat-core bind`), at each moment of a sequence of meshes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gsplat_core.errors import DataError, UsageError
from gsplat_core.mesh.binding import NormalMode, deformed, faces_of
from gsplat_core.mesh.files import load_mesh
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.mesh.sequence import read_vertices, sequence_files
from gsplat_core.scene.gaussians import Gaussians
from trainers.run_folder import RunFolder
from trainers.waiting import counted


def rest_mesh(run: Path, scene: Gaussians) -> Mesh:
    """The mesh that the scene of a run hangs on, as it was when the scene was bound.

    Raises:
        UsageError: the scene is not bound.
        DataError: the mesh is not there, cannot be used, or is another.
    """
    faces = faces_of(scene)
    if faces is None or not bool((faces >= 0).any()):
        raise UsageError(f"{run} does not hang on a mesh: gsplat-core bind {run} MESH -o RUN2")
    path = RunFolder(run if run.is_dir() else run.parent).rest_mesh
    if not path.is_file():
        raise DataError(
            path, "is not there, and without it nobody knows where the Gaussians hang",
            remedy="Take the run that bind or train --mesh wrote, or bind the scene again.",
        )  # fmt: skip
    rest = load_mesh(path)
    if int(faces.max()) >= len(rest.faces):
        raise DataError(path, "is not the mesh that the scene was bound to", remedy="Bind it again.")
    return rest


@dataclass(frozen=True, eq=False)
class Animation:
    """The scene in rest pose, and the files that say where the mesh goes."""

    scene: Gaussians
    rest: Mesh
    files: list[Path]
    normal_mode: NormalMode

    @classmethod
    def open(cls, run: Path, scene: Gaussians, folder: Path, normal_mode: NormalMode) -> Animation:
        """Reads every file once, so that none stops a rendering that has begun.

        Raises:
            UsageError: the scene is not bound.
            DataError: its mesh, or one of the sequence, cannot be used.
        """
        rest = rest_mesh(run, scene)
        files = sequence_files(folder)
        for file in counted(files, "reading meshes", len(files)):
            read_vertices(file, rest, scene)
        return cls(scene, rest, files, normal_mode)

    def __len__(self) -> int:
        return len(self.files)

    def at(self, frame: int) -> Gaussians:
        """The scene of a frame; after the last mesh comes the first again."""
        vertices = read_vertices(self.files[frame % len(self.files)], self.rest, self.scene)
        return deformed(self.scene, self.rest, vertices, self.normal_mode)
