"""A scan: what a scanner measured, as line integrals, and which of it is held out for testing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gsplat_core.tomography.scanner import Scanner


@dataclass(frozen=True, eq=False)
class Scan:
    """C projections.

    Args:
        scanner: where they were taken.
        integrals: [C, H, W] float32 of densities along rays, densities per unit of length.
        held_out: [C] bool, those that are for testing.
        names: of the projections.
        truth: [nx, ny, nz] float32 densities on the scanner's grid, where they are known.
    """

    scanner: Scanner
    integrals: Tensor
    held_out: Tensor
    names: tuple[str, ...]
    truth: Tensor | None = None

    @cached_property
    def train(self) -> Scan:
        """Those that are not held out."""
        return self._selected(~self.held_out)

    @cached_property
    def test(self) -> Scan:
        """Those that are."""
        return self._selected(self.held_out)

    def _selected(self, mask: Tensor) -> Scan:
        names = tuple(name for name, chosen in zip(self.names, mask.tolist(), strict=True) if chosen)
        integrals, held_out = self.integrals[mask], torch.zeros(len(names), dtype=torch.bool)
        return Scan(self.scanner.selected(mask), integrals, held_out, names, self.truth)

    def in_unit_box(self) -> tuple[Scan, float]:
        """The scan with its volume inside [-1, 1]^3, and the factor on lengths; densities stay as they
        are."""
        scanner, scale = self.scanner.in_unit_box()
        return dataclasses.replace(self, scanner=scanner, integrals=self.integrals * scale), scale


def every(count: int, step: int) -> Tensor:
    """[count] bool: each `step`-th is held out, starting in the middle of the first ones; none if it is 0."""
    held_out = torch.zeros(count, dtype=torch.bool)
    if step:
        held_out[step // 2 :: step] = True
    return held_out
