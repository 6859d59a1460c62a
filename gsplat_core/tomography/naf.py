"""Scans as NAF, SAX-NeRF and R2-Gaussian store them: one pickle with the scanner, projections and the volume.

Its lengths are in millimetres while densities are per metre; so the scan is in metres.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.plain_pickle import read_plain_pickle
from gsplat_core.tomography.scan import Scan
from gsplat_core.tomography.scanner import Beam, Scanner, circular

_PER_METRE = 1000.0


def read_naf(path: Path) -> Scan:
    """The scan in such a pickle, of which nothing is run.

    Raises:
        DataError: it is damaged, or an entry is missing or makes no sense; says which.
    """
    data = read_plain_pickle(path)
    if not isinstance(data, Mapping):
        raise DataError(path, "expected a dictionary with the entries of a scan")
    entries = _Entries(path, data)
    beam: Beam = "parallel" if data.get("mode") == "parallel" else "cone"
    width, height = entries.counts("nDetector", 2)
    nx, ny, nz = entries.counts("nVoxel", 3)
    dx, dy, dz = entries.lengths("dVoxel", 3)
    cx, cy, cz = entries.lengths("offOrigin", 3, positive=False)
    du, dv = entries.lengths("dDetector", 2)
    ou, ov = entries.lengths("offDetector", 2, positive=False)
    grid = Grid((nx, ny, nz), (dx, dy, dz), (cx - nx * dx / 2, cy - ny * dy / 2, cz - nz * dz / 2))
    (DSO,), (DSD,) = entries.lengths("DSO", 1), entries.lengths("DSD", 1)
    parts = [("train", "train"), *((name, "test") for name in ("val", "test") if name in data)]
    angles, integrals, held_out = [], [], []
    for name, split in parts:
        found = entries.projections(name, width, height)
        angles.append(found[0])
        integrals.append(found[1])
        held_out.append(torch.full((len(found[0]),), split == "test"))
    turns = torch.cat(angles)
    scanner = Scanner(beam, width, height, (du, dv), (ou, ov), circular(turns, DSO), grid, DSO, DSD, "m")
    names = tuple(f"{math.degrees(turn):.2f} degrees" for turn in turns.tolist())
    truth = entries.array(data, "image", grid.shape).float() if "image" in data else None
    return Scan(scanner, torch.cat(integrals), torch.cat(held_out), names, truth)


class _Entries:
    def __init__(self, path: Path, data: Mapping[Any, Any]) -> None:
        self.path = path
        self.data = data

    def wrong(self, name: str, problem: str) -> DataError:
        return DataError(self.path, problem, name, "Correct it with the program that wrote it.")

    def array(self, within: Mapping[Any, Any], name: str, shape: Sequence[int] | None = None) -> Tensor:
        """float64 of finite numbers."""
        if name not in within:
            raise self.wrong(name, "is missing")
        try:
            found = np.asarray(within[name], np.float64)
        except (TypeError, ValueError):
            raise self.wrong(name, "expected numbers") from None
        if shape is not None and found.shape != tuple(shape):
            raise self.wrong(name, f"expected {list(shape)} numbers, got {list(found.shape)}")
        if not np.isfinite(found).all():
            raise self.wrong(name, "a value is not finite")
        return torch.from_numpy(np.array(found))

    def lengths(self, name: str, count: int, positive: bool = True) -> list[float]:
        found = self.array(self.data, name).reshape(-1)
        if len(found) != count or (positive and float(found.min()) <= 0):
            raise self.wrong(name, f"expected {count} {'positive ' if positive else ''}lengths")
        return (found / _PER_METRE).tolist()

    def counts(self, name: str, count: int) -> list[int]:
        found = self.array(self.data, name).reshape(-1)
        if len(found) != count or bool(((found < 1) | (found > 1 << 16) | (found != found.round())).any()):
            raise self.wrong(name, f"expected {count} whole numbers, at least 1")
        return [int(n) for n in found]

    def projections(self, name: str, width: int, height: int) -> tuple[Tensor, Tensor]:
        """Angles [C], and line integrals [C, H, W]."""
        part = self.data.get(name)
        if not isinstance(part, Mapping):
            raise self.wrong(name, "is missing: angles and projections")
        angles = self.array(part, "angles").reshape(-1)
        if not len(angles):
            raise self.wrong(f"{name}.angles", "there is none")
        return angles, self.array(part, "projections", (len(angles), height, width)).float()
