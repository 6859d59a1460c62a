"""Makes scans of bodies that are known exactly: a folder for `gsplat-core ct`.

.venv/bin/python tools/make_phantom.py OUT --phantom shepp-logan --beam cone --views 50 --photons 1e5
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.phantoms import PHANTOMS, counted
from gsplat_core.tomography.scan import Scan
from gsplat_core.tomography.scanner import Scanner, circular
from gsplat_core.tomography.write import write_scan

DSO, DSD = 6.0, 9.0
FIELD = 1.6
"""Half of what the detector sees at the axis, with a volume from -1 to 1."""


def make_scan(
    phantom: str, beam: str, views: int, tests: int, pixels: int, voxels: int, photons: float, seed: int
) -> Scan:
    """Views in equal steps over a whole turn, or half a turn of a parallel beam, and tests in between at
    random. `photons` per pixel of the training views, 0 for no noise; tests have none."""
    turn = 2 * math.pi if beam == "cone" else math.pi
    random = torch.Generator().manual_seed(seed)
    start = torch.rand(1, generator=random).double() * turn / views
    train = start + torch.arange(views).double() * turn / views
    angles = torch.cat([train, torch.rand(tests, generator=random).double() * turn])
    magnification = DSD / DSO if beam == "cone" else 1.0
    spacing = 2 * FIELD * magnification / pixels
    scanner = Scanner(
        "cone" if beam == "cone" else "parallel", pixels, pixels, (spacing, spacing), (0.0, 0.0),
        circular(angles, DSO), Grid.cube(voxels), DSO, DSD,
    )  # fmt: skip
    body = PHANTOMS[phantom](seed)
    integrals = body.line_integrals(scanner)
    if photons:
        integrals[:views] = counted(integrals[:views], photons, seed)
    names = tuple(f"{math.degrees(angle):.2f} degrees" for angle in angles.tolist())
    held_out = torch.arange(len(angles)) >= views
    return Scan(scanner, integrals.float(), held_out, names, body.volume(scanner.grid).float())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--phantom", choices=PHANTOMS, default="shepp-logan")
    parser.add_argument("--beam", choices=("cone", "parallel"), default="cone")
    parser.add_argument("--views", type=int, default=50)
    parser.add_argument("--tests", type=int, default=10, help="projections to test on")
    parser.add_argument("--pixels", type=int, default=96)
    parser.add_argument("--voxels", type=int, default=64)
    parser.add_argument("--photons", type=float, default=0.0, help="that a free pixel counts; 0: no noise")
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    output = given.pop("output")
    write_scan(output, make_scan(**given))
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
