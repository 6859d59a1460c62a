"""A triangle mesh with colours, and what is known of it by counting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles that share vertices.

    Args:
        vertices: [V, 3] float32, scene units.
        faces: [F, 3] int32 rows of `vertices`, anticlockwise as seen from outside.
        colors: [V, 3] uint8 RGB.

    Raises:
        ValueError: shapes do not fit, a coordinate is not finite, or a face names a vertex that is not there.
    """

    vertices: Floats
    faces: Rows
    colors: Bytes

    def __post_init__(self) -> None:
        for name in ("vertices", "faces", "colors"):
            shape = np.shape(getattr(self, name))
            if len(shape) != 2 or shape[1] != 3:
                raise ValueError(f"{name}: expected shape [?, 3], got {list(shape)}")
        if len(self.colors) != len(self.vertices):
            raise ValueError(f"there are {len(self.vertices)} vertices and {len(self.colors)} colours")
        finite = np.isfinite(self.vertices).all(axis=1)
        if not finite.all():
            raise ValueError(f"vertex {int(np.argmin(finite))} is not finite")
        if len(self.faces) and not 0 <= self.faces.min() <= self.faces.max() < len(self.vertices):
            raise ValueError(f"a face names a vertex that is not among the {len(self.vertices)}")

    @property
    def extent(self) -> float:
        """The diagonal of its box; 0 without vertices."""
        if not len(self.vertices):
            return 0.0
        return float(np.linalg.norm(np.ptp(self.vertices.astype(np.float64), axis=0)))

    def areas(self) -> npt.NDArray[np.float64]:
        """[F] of the faces."""
        a, b, c = self.vertices[self.faces].astype(np.float64).transpose(1, 0, 2)
        areas: npt.NDArray[np.float64] = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
        return areas

    def open_edges(self) -> int:
        """How many edges are not between exactly two faces that agree on which side is outside."""
        ends = self.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
        count = max(len(self.vertices), 1)
        there, uses = np.unique(ends[:, 0] * count + ends[:, 1], return_counts=True)
        back = np.isin(there, ends[:, 1] * count + ends[:, 0], assume_unique=False)
        return int(np.sum(~back | (uses > 1)))

    @property
    def is_watertight(self) -> bool:
        return len(self.faces) > 0 and self.open_edges() == 0

    def with_faces(self, faces: Rows) -> Mesh:
        """Only these faces, and the vertices that they have."""
        kept, rows = np.unique(faces, return_inverse=True)
        return replace(
            self,
            vertices=self.vertices[kept],
            faces=rows.reshape(-1, 3).astype(np.int32),
            colors=self.colors[kept],
        )
