"""The voxels of a volume: where they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Grid:
    """Voxels along x, y and z; arrays of their values are [nx, ny, nz].

    Args:
        shape: how many there are, (nx, ny, nz).
        spacing: their sides, in the unit of the scan.
        origin: the corner of voxel 0, which is half a voxel before its centre.
    """

    shape: tuple[int, int, int]
    spacing: Vector
    origin: Vector

    @classmethod
    def cube(cls, voxels: int, side: float = 2.0) -> Grid:
        """A cube around the origin."""
        half = side / 2
        return cls((voxels,) * 3, (side / voxels,) * 3, (-half, -half, -half))

    @property
    def size(self) -> Vector:
        """The sides of the volume."""
        x, y, z = (n * d for n, d in zip(self.shape, self.spacing, strict=True))
        return x, y, z

    @property
    def centre(self) -> Vector:
        x, y, z = (o + s / 2 for o, s in zip(self.origin, self.size, strict=True))
        return x, y, z

    @property
    def diagonal(self) -> float:
        return float(torch.tensor(self.size, dtype=torch.float64).norm())

    def centres(self, axis: int) -> Tensor:
        """[n] float64 the centres of voxels along an axis."""
        steps = torch.arange(self.shape[axis], dtype=torch.float64) + 0.5
        return self.origin[axis] + self.spacing[axis] * steps

    def points(self) -> Tensor:
        """[nx, ny, nz, 3] float64 the centres of all voxels."""
        axes = torch.meshgrid(*(self.centres(axis) for axis in range(3)), indexing="ij")
        return torch.stack(axes, dim=-1)

    def moved(self, scale: float, centre: Vector) -> Grid:
        """The grid after x -> scale (x - centre)."""
        sx, sy, sz = (scale * d for d in self.spacing)
        ox, oy, oz = (scale * (o - c) for o, c in zip(self.origin, centre, strict=True))
        return Grid(self.shape, (sx, sy, sz), (ox, oy, oz))
