"""Smooth random fields in space, whose finest detail is a pixel wide wherever the camera stands."""

from __future__ import annotations

import torch
from torch import Tensor

PERIOD = 64
CHANNELS = 4


class Noise:
    """Four independent fields of value noise, each between about -1 and 1."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        table = 2 * torch.rand(CHANNELS, PERIOD, PERIOD, PERIOD, generator=generator) - 1
        for dim in (1, 2, 3):
            table = torch.cat([table, table.narrow(dim, 0, 1)], dim)
        self._table = table[None]

    def once(self, points: Tensor, wavelength: float) -> Tensor:
        """[N,4] at points [N,3]: one octave."""
        lattice = points / wavelength
        cell = lattice.floor()
        part = lattice - cell
        place = torch.remainder(cell, PERIOD) + part * part * (3 - 2 * part)
        grid = (2 * place / PERIOD - 1).view(1, 1, 1, -1, 3)
        return (
            torch.nn.functional.grid_sample(self._table, grid, align_corners=True, padding_mode="border")
            .view(CHANNELS, -1)
            .T
        )

    def __call__(
        self, points: Tensor, wavelength: float, octaves: int, footprint: Tensor, gain: float = 0.6
    ) -> Tensor:
        """[N,4]: octaves from `wavelength` down, without those finer than the footprint [N] of a pixel."""
        total = points.new_zeros(len(points), CHANNELS)
        weight, power = 1.0, 0.0
        for octave in range(octaves):
            visible = (wavelength / footprint - 0.7).clamp(0, 1)[:, None]
            if not bool(visible.any()):
                break
            total += weight * visible * self.once(points + 17.3 * octave * wavelength, wavelength)
            power += weight * weight
            weight *= gain
            wavelength /= 2
        return total / max(power, 1e-9) ** 0.5
