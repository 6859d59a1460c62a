"""Grids of several resolutions over knots of a lattice, whose tables hold one bit per number.

After the multiresolution hash encoding of Müller et al. (2022), with binary tables as HAC (Chen et al. 2024)
has them. What decides where a knot lies in a grid are whole numbers only: a decoder on another machine has to
find the very same numbers, since what they predict is what its bits mean.

Scenes are dense in the middle and thin far out. So knots are counted along each axis from the scene's middle
and contracted, d / (|d| + size), which is a half where half of them lie; a division of whole numbers is
the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_PLACE_BITS = 17  # of a contracted coordinate
_WEIGHT_BITS = 8  # of an interpolation weight along one axis
VALUE_BITS = 12
"""Numbers of a grid are whole multiples of 2^-12, from -1 to 1."""

_PRIMES = (1, 2_654_435_761, 805_459_861)


class Middle(NamedTuple):
    """From where knots are counted.

    Args:
        knot: the median of each axis.
        size: the median distance from there along an axis, at least 1.
    """

    knot: tuple[int, int, int]
    size: int

    @classmethod
    def of(cls, knots: Tensor) -> Middle:
        """That of knots [N, 3] int64."""
        if not len(knots):
            return cls((0, 0, 0), 1)
        middle = knots.median(dim=0).values
        x, y, z = middle.tolist()
        return cls((x, y, z), max(1, int((knots - middle).abs().median())))


class Corners(NamedTuple):
    """Where N knots find their numbers on each of L levels: in 8 rows of the table.

    Args:
        rows: [N, L, 8] int64.
        weights: [N, L, 8] int64, which sum to 2^24.
        places: [N, 3] int64, contracted coordinates from 0 to 2^17.
    """

    rows: Tensor
    weights: Tensor
    places: Tensor


@dataclass(frozen=True)
class HashGrid:
    """Args:
    cells: of each level along an axis.
    log2_rows: levels of more knots share so many rows, as a power of two, by a hash.
    width: numbers of a row.
    """

    cells: tuple[int, ...] = (8, 16, 32, 64)
    log2_rows: int = 12
    width: int = 4

    @property
    def rows(self) -> int:
        """Of the table of all levels."""
        return sum(self._rows(cells) for cells in self.cells)

    def _rows(self, cells: int) -> int:
        return int(min((cells + 1) ** 3, 1 << self.log2_rows))

    def corners(self, knots: Tensor, middle: Middle) -> Corners:
        """Those of knots [N, 3] int64, below 2^40 in size."""
        away = knots - torch.tensor(middle.knot, device=knots.device)
        half = 1 << (_PLACE_BITS - 1)
        places = torch.div(away * half, away.abs() + middle.size, rounding_mode="floor") + half
        rows, weights, first = [], [], 0
        for cells in self.cells:
            at = places * cells
            cell = (at >> _PLACE_BITS).clamp(max=cells - 1)
            part = (at - (cell << _PLACE_BITS)) >> (_PLACE_BITS - _WEIGHT_BITS)
            ends = torch.stack([cell, cell + 1])  # [2, N, 3]
            parts = torch.stack([(1 << _WEIGHT_BITS) - part, part])
            x, y, z = (
                choice.flatten().to(knots.device)
                for choice in torch.meshgrid(*[torch.arange(2)] * 3, indexing="ij")
            )
            knot = torch.stack([ends[x, :, 0], ends[y, :, 1], ends[z, :, 2]])  # [3, 8, N]
            rows.append((first + self._row(knot, cells)).T)
            weights.append((parts[x, :, 0] * parts[y, :, 1] * parts[z, :, 2]).T)
            first += self._rows(cells)
        return Corners(torch.stack(rows, dim=1), torch.stack(weights, dim=1), places)

    def _row(self, knot: Tensor, cells: int) -> Tensor:
        side = cells + 1
        if side**3 <= 1 << self.log2_rows:
            return (knot[0] * side + knot[1]) * side + knot[2]
        x, y, z = (knot[axis] * prime for axis, prime in enumerate(_PRIMES))
        return (x ^ y ^ z) & ((1 << self.log2_rows) - 1)


def interpolated(table: Tensor, corners: Corners) -> Tensor:
    """[N, L width] the numbers of knots from a floating table [rows, width]; its gradient is dense."""
    num, levels, ends = corners.rows.shape
    weights = corners.weights.to(table) / float(1 << (3 * _WEIGHT_BITS))
    found = torch.nn.functional.embedding_bag(
        corners.rows.reshape(-1, ends), table, per_sample_weights=weights.reshape(-1, ends), mode="sum"
    )
    return found.reshape(num, levels * table.shape[1])


def interpolated_exactly(signs: Tensor, corners: Corners) -> Tensor:
    """[N, L width] int64, the same of a table of ±1 [rows, width] int64, in multiples of 2^-12."""
    sums = (corners.weights[..., None] * signs[corners.rows]).sum(dim=2)
    return (sums >> (3 * _WEIGHT_BITS - VALUE_BITS)).flatten(1)


def binary(table: Tensor) -> Tensor:
    """±1 by sign; gradients pass straight through to numbers within [-1, 1] (Courbariaux et al. 2016)."""
    signs = torch.where(table >= 0, 1.0, -1.0).to(table)
    return table.clamp(-1, 1) + (signs - table.clamp(-1, 1)).detach()
