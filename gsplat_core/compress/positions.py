"""Positions on a lattice that is fine in the middle of a scene and coarser far out.

A coordinate x becomes t = sign(y) ln(1 + |y|) with y = (x - centre) / size, rounded to multiples of a step:
the error grows with the distance, as what can be seen of it shrinks. Centre and size are medians, so that
a few far Gaussians decide nothing.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from gsplat_core.compress.container import Container

_MAX_BITS = 20  # of a cell's number on each axis; Morton codes are below 2^60


@dataclass(frozen=True)
class Lattice:
    """Args:
    centre: [3] scene units.
    size: scene units; where the lattice starts to grow coarse.
    low: [3] the cell numbers of the corner; cells are counted from there.
    step: distance of neighbouring cells, in units of t (near the centre: of `size`).
    """

    centre: tuple[float, float, float]
    size: float
    low: tuple[int, int, int]
    step: float

    @classmethod
    def around(cls, means: Tensor, step: float) -> Lattice:
        """The lattice for these positions [N, 3]; the step becomes larger if it takes more than 20 bits."""
        if not len(means):
            return cls((0.0, 0.0, 0.0), 1.0, (0, 0, 0), step)
        centre = means.median(dim=0).values
        size = max(float((means - centre).abs().median()), 1e-12)
        contracted = _contract((means.double() - centre.double()) / size)
        extent = float((contracted.amax(dim=0) - contracted.amin(dim=0)).max())
        step = max(step, extent / (2**_MAX_BITS - 3))
        low = (contracted.amin(dim=0) / step).round().long()
        x, y, z = centre.double().tolist()
        i, j, k = low.tolist()
        return cls((x, y, z), size, (i, j, k), step)

    def cells(self, means: Tensor) -> Tensor:
        """The cells [N, 3] int64 in [0, 2^20) of positions; what is outside comes to the lattice's border."""
        centred = (means.double() - means.new_tensor(self.centre, dtype=torch.float64)) / self.size
        numbers = (_contract(centred) / self.step).round().long() - torch.tensor(
            self.low, device=means.device
        )
        return numbers.clamp(0, 2**_MAX_BITS - 1)

    def positions(self, cells: Tensor) -> Tensor:
        """The positions [N, 3] float32 of the middles of cells."""
        t = (cells + torch.tensor(self.low, device=cells.device)).double() * self.step
        centred = t.sign() * torch.expm1(t.abs())
        centre = torch.tensor(self.centre, dtype=torch.float64, device=cells.device)
        return (centred * self.size + centre).float()

    def to_tensor(self) -> Tensor:
        """For a checkpoint: [8] float64."""
        return torch.tensor([*self.centre, self.size, *self.low, self.step], dtype=torch.float64)

    @classmethod
    def from_tensor(cls, numbers: Tensor) -> Lattice:
        """The lattice that `to_tensor` described."""
        x, y, z, size, i, j, k, step = numbers.tolist()
        return cls((x, y, z), size, (int(i), int(j), int(k)), step)

    def to_json(self) -> dict[str, Any]:
        """For the header of a file."""
        return asdict(self)

    @classmethod
    def from_header(cls, header: Container) -> Lattice:
        """The lattice of a file's header, checked; raises DataError."""
        x, y, z = header.numbers("centre", 3, -1e30, 1e30)
        i, j, k = (int(number) for number in header.numbers("low", 3, -(2.0**40), 2.0**40))
        return cls((x, y, z), header.number("size", 1e-30, 1e30), (i, j, k), header.number("step", 1e-9, 64))

    def error_at(self, distance: float) -> float:
        """The largest error of a coordinate at this distance from the centre, along the axis; scene units."""
        return (math.expm1(self.step / 2)) * (self.size + distance)


def _contract(y: Tensor) -> Tensor:
    return y.sign() * torch.log1p(y.abs())
