"""Writes scans as folders, and volumes for other programs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gsplat_core.io.atomic import atomic_file, atomic_folder, write_text
from gsplat_core.strict_json import write_json
from gsplat_core.tomography.geometry_file import NAME
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.scan import Scan
from gsplat_core.tomography.scanner import circular


def write_scan(folder: Path, scan: Scan) -> None:
    """Writes a scan, so that `read_scan` reads the same.

    Raises:
        ResourceError: the folder cannot be written.
    """
    scanner = scan.scanner
    entries = {
        "beam": scanner.beam,
        "unit": scanner.unit,
        **({"DSO": scanner.DSO, "DSD": scanner.DSD} if scanner.beam == "cone" else {}),
        "detector": {
            "pixels": [scanner.width, scanner.height],
            "spacing": scanner.spacing,
            "offset": scanner.offset,
        },
        "volume": {
            "voxels": scanner.grid.shape,
            "spacing": scanner.grid.spacing,
            "origin": scanner.grid.origin,
        },
        "values": "line integral",
        "stack": "projections.npy",
        "projections": [
            {**_pose(viewmat), "split": "test" if test else "train"}
            for viewmat, test in zip(scanner.viewmats, scan.held_out.tolist(), strict=True)
        ],
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(folder, NAME) as temporary:
        write_array(temporary / "projections.npy", scan.integrals)
        if scan.truth is not None:
            entries["truth"] = "truth.npy"
            write_array(temporary / "truth.npy", scan.truth)
        write_json(temporary / NAME, entries)


def _pose(viewmat: Tensor) -> dict[str, object]:
    """The angle, if the camera is on the circle of a circular scan."""
    angle = math.atan2(-float(viewmat[2, 1]), -float(viewmat[2, 0]))
    if torch.allclose(circular([angle], float(viewmat[2, 3]))[0], viewmat, rtol=0, atol=1e-9):
        return {"angle": math.degrees(angle)}
    return {"viewmat": viewmat.tolist()}


def write_array(path: Path, values: Tensor) -> None:
    """An .npy file of float32."""
    with atomic_file(path) as file:
        np.save(file, values.detach().cpu().numpy().astype(np.float32), allow_pickle=False)


def write_volume(path: Path, values: Tensor, grid: Grid) -> None:
    """A volume as MetaImage, which 3D Slicer, ITK-SNAP, ParaView and Fiji open: `path` ends with .mhd, and
    .raw beside it has the numbers, x fastest.

    Args:
        values: [nx, ny, nz].
    """
    raw = path.with_suffix(".raw")
    numbers = values.detach().cpu().numpy().astype("<f4")
    with atomic_file(raw) as file:
        file.write(np.ascontiguousarray(numbers.transpose(2, 1, 0)).tobytes())
    first = [float(grid.centres(axis)[0]) for axis in range(3)]
    header = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "DimSize": _words(grid.shape),
        "ElementSpacing": _words(grid.spacing),
        "Offset": _words(first),
        "ElementType": "MET_FLOAT",
        "ElementDataFile": raw.name,
    }
    write_text(path, "".join(f"{key} = {value}\n" for key, value in header.items()))


def _words(values: tuple[float, ...] | list[float]) -> str:
    return " ".join(f"{value:.9g}" for value in values)
