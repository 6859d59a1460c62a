"""The geometry of an X-ray scanner, as cameras.

Coordinates are those of the volume, right-handed; a circular scan turns around the z axis. At the angle p the
source of a cone beam is at DSO (cos p, sin p, 0), and the camera there, which looks at the axis, has OpenCV's
axes x = (-sin p, cos p, 0), y = (0, 0, -1), z = (-cos p, -sin p, 0). Its focal length in pixels is
DSD / spacing, and its principal point is shifted by -offset / spacing from the middle of the image, where
`offset` says how far the detector's centre is from the central ray, along the image's x and y. A parallel
beam has the camera model "ortho" with 1 / spacing pixels per length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from gsplat_core.tomography.grid import Grid, Vector

Beam: TypeAlias = Literal["cone", "parallel"]


@dataclass(frozen=True, eq=False)
class Scanner:
    """Where sources and detectors of C projections are, and which volume is reconstructed.

    Lengths are in `unit`, densities per unit.

    Args:
        beam: "cone" or "parallel".
        width, height: of the detector, in pixels.
        spacing: of its pixels along x and y of the image.
        offset: of its centre from the central ray, along x and y of the image.
        viewmats: [C, 4, 4] float64 world to camera.
        grid: the voxels of the volume.
        DSO: distance from the source to the axis of rotation (cone).
        DSD: distance from the source to the detector (cone).
        unit: of lengths, a name.
    """

    beam: Beam
    width: int
    height: int
    spacing: tuple[float, float]
    offset: tuple[float, float]
    viewmats: Tensor
    grid: Grid
    DSO: float = 1.0
    DSD: float = 1.0
    unit: str = "unit"

    @property
    def num(self) -> int:
        """How many projections there are."""
        return len(self.viewmats)

    @property
    def Ks(self) -> Tensor:
        """[C, 3, 3] float64 intrinsics: in pixels for a cone, in pixels per length for a parallel beam."""
        reach = self.DSD if self.beam == "cone" else 1.0
        (du, dv), (ou, ov) = self.spacing, self.offset
        K = torch.tensor(
            [
                [reach / du, 0, self.width / 2 - ou / du],
                [0, reach / dv, self.height / 2 - ov / dv],
                [0, 0, 1],
            ],
            dtype=torch.float64,
        )
        return K.expand(self.num, 3, 3)

    @property
    def lengths_per_pixel(self) -> float:
        """What a pixel sees of the axis of rotation, along x of the image."""
        return self.spacing[0] * (self.DSO / self.DSD if self.beam == "cone" else 1.0)

    def rays(self) -> tuple[Tensor, Tensor]:
        """Origins and unit directions [C, H, W, 3] float64 of the rays through the centres of all pixels."""
        (du, dv), (ou, ov) = self.spacing, self.offset
        a = (torch.arange(self.width, dtype=torch.float64) + 0.5 - self.width / 2) * du + ou
        b = (torch.arange(self.height, dtype=torch.float64) + 0.5 - self.height / 2) * dv + ov
        b, a = torch.meshgrid(b, a, indexing="ij")
        zeros = torch.zeros_like(a)
        if self.beam == "cone":
            starts, along = torch.zeros(*a.shape, 3, dtype=a.dtype), torch.stack([a, b, zeros + self.DSD], -1)
        else:
            starts, along = torch.stack([a, b, zeros], -1), torch.stack([zeros, zeros, zeros + 1], -1)
        rotations, shifts = self.viewmats[:, :3, :3], self.viewmats[:, :3, 3]
        origins = torch.einsum("cji,chwj->chwi", rotations, starts - shifts[:, None, None])
        directions = torch.einsum("cji,hwj->chwi", rotations, along)
        return origins, torch.nn.functional.normalize(directions, dim=-1)

    def selected(self, which: Tensor) -> Scanner:
        """The same with some projections only: a mask [C] or their numbers."""
        return replace(self, viewmats=self.viewmats[which])

    def moved(self, scale: float, centre: Vector) -> Scanner:
        """The scanner after x -> scale (x - centre) of the world."""
        viewmats = self.viewmats.clone()
        shift = viewmats[:, :3, :3] @ torch.tensor(centre, dtype=torch.float64) + viewmats[:, :3, 3]
        viewmats[:, :3, 3] = scale * shift
        (du, dv), (ou, ov) = self.spacing, self.offset
        return replace(
            self, viewmats=viewmats, spacing=(scale * du, scale * dv), offset=(scale * ou, scale * ov),
            grid=self.grid.moved(scale, centre), DSO=scale * self.DSO, DSD=scale * self.DSD,
        )  # fmt: skip

    def in_unit_box(self) -> tuple[Scanner, float]:
        """The scanner with the volume inside [-1, 1]^3, around the origin, and by what lengths are multiplied
        for that; line integrals of the same densities are, too."""
        scale = 2 / max(self.grid.size)
        return self.moved(scale, self.grid.centre), scale


def circular(angles: Tensor | Sequence[float], DSO: float) -> Tensor:
    """[C, 4, 4] float64 world to camera of a circular scan.

    Args:
        angles: [C] of the source, in radians, from x towards y.
        DSO: distance from the source to the axis of rotation. Of a parallel beam any at which all of the
            volume is in front of the camera.
    """
    p = torch.as_tensor(angles, dtype=torch.float64)
    viewmats = torch.zeros(len(p), 4, 4, dtype=torch.float64)
    viewmats[:, 0, 0], viewmats[:, 0, 1] = -p.sin(), p.cos()
    viewmats[:, 1, 2] = -1
    viewmats[:, 2, 0], viewmats[:, 2, 1] = -p.cos(), -p.sin()
    viewmats[:, 2, 3] = DSO
    viewmats[:, 3, 3] = 1
    return viewmats
