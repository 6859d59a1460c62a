"""Which faces of a mesh carry Gaussians, and in which order these come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gsplat_core.mesh.binding import sound_faces
from gsplat_core.mesh.mesh import Mesh
from gsplat_core.morton import morton_order


def rows_of(vertices: Tensor, rows: Tensor) -> Tensor:
    """[..., 3] of vertices [V, 3]; the derivative of `index_select` is faster than that of brackets."""
    return vertices.index_select(0, rows.reshape(-1)).reshape(*rows.shape, 3)


@dataclass(frozen=True, eq=False)
class Layout:
    """Gaussians on faces: those of one face come together.

    Args:
        faces: [F] int64, rows of the mesh's faces. All but those that are next to nothing
            (`gsplat_core.mesh.binding.bind`), along the Morton curve through their centres, so that
            neighbours in space are near in memory.
        vertices: [F, 3] int64, of these faces.
        per_face: K, how many Gaussians each has.
    """

    faces: Tensor
    vertices: Tensor
    per_face: int

    @classmethod
    def of(cls, mesh: Mesh, per_face: int) -> Layout:
        """
        Raises:
            ValueError: there is no face with an area.
        """
        sound = sound_faces(mesh)
        centres = torch.from_numpy(mesh.vertices[mesh.faces[sound]].mean(axis=1))
        faces = sound[morton_order(centres).numpy()]
        vertices = torch.from_numpy(mesh.faces[faces].astype(np.int64))
        return cls(torch.from_numpy(faces.astype(np.int64)), vertices, per_face)

    @property
    def num(self) -> int:
        """N = F K, how many Gaussians there are."""
        return len(self.faces) * self.per_face

    def corners(self, vertices: Tensor) -> Tensor:
        """[F, 3, 3] the corners of the faces, in rows, of vertices [V, 3]. Differentiable."""
        return rows_of(vertices, self.vertices.to(vertices.device))

    def of_rows(self) -> Tensor:
        """[N] int64: the face of each Gaussian."""
        return self.faces.repeat_interleave(self.per_face)
