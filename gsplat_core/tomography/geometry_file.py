"""Scans in folders: `geometry.json`, and the projections that it names.

    {
      "beam": "cone",                       or "parallel"
      "unit": "mm",                         a name; all lengths are in it
      "DSO": 1000, "DSD": 1500,             cone: from the source to the axis of rotation, to the detector
      "detector": {"pixels": [W, H], "spacing": [x, y], "offset": [x, y]},
      "volume": {"voxels": [nx, ny, nz], "spacing": [x, y, z], "origin": [x, y, z]},
      "values": "line integral",            or "intensity"
      "unattenuated": 65535,                intensity: that of a pixel with nothing in the way
      "per_level": 0.0001,                  line integral: what one level of an image stands for (1)
      "stack": "projections.npy",           [C, H, W], if projections have no files of their own
      "projections": [{"angle": 0, "file": "000.png", "split": "train"}, ...],
      "truth": "truth.npy"                  [nx, ny, nz], densities per unit, if they are known
    }

An angle is in degrees; in its place "viewmat" may have four rows of a world-to-camera matrix
(`tomography/scanner.py` says which axes). Offsets may be left out, as may the origin, the corner of voxel 0,
where the volume is around the axis of rotation. "split" is "train" or "test"; without any, a sixth of all is
held out.
Files are .npy of [H, W], or PNG and TIFF of one channel with 8 or 16 bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gsplat_core.errors import DataError
from gsplat_core.expansion import check_json
from gsplat_core.io.source import read_whole
from gsplat_core.scene.capture_values import error, number, relative_path
from gsplat_core.scene.images import decode_grey
from gsplat_core.strict_json import parse_json
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.scan import Scan, every
from gsplat_core.tomography.scanner import Beam, Scanner, circular

NAME = "geometry.json"
HELD_OUT = 6
"""Every so many-th projection is for testing where the file does not say which are."""

MOST_VOXELS = 2048
_ORTHOGONAL = 1e-4


def read_scan(folder: Path) -> Scan:
    """The scan in a folder.

    Raises:
        DataError: a file is missing or damaged, an entry of geometry.json makes no sense, a projection has
            another size than the detector, is not finite, or has negative intensities; says which, and where.
    """
    path = folder / NAME
    if not path.is_file():
        raise DataError(
            folder, f"there is no {NAME}", remedy="Describe the scanner there, see the page on tomography."
        )
    return _Reader(path).scan()


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        text = read_whole(path)
        check_json(path, text)
        try:
            self.entries = parse_json(text)
        except ValueError as problem:
            raise DataError(path, f"not JSON: {problem}") from None
        if not isinstance(self.entries, dict):
            raise DataError(path, "expected an object, {...}")

    def scan(self) -> Scan:
        beam = self._choice(self.entries, "beam", ("cone", "parallel"))
        records = self.entries.get("projections")
        if not isinstance(records, list) or not records:
            raise self._wrong("projections", "expected a list with an object for each projection")
        for place, record in self._each(records):
            if not isinstance(record, dict):
                raise self._wrong(place, 'expected an object such as {"angle": 0, "file": "000.png"}')
        scanner = self._scanner(beam, records)
        integrals = self._integrals(scanner, records)
        names = tuple(str(record.get("file", f"{place:03d}"))[:200] for place, record in enumerate(records))
        return Scan(scanner, integrals, self._held_out(records), names, self._truth(scanner.grid))

    def _scanner(self, beam: Beam, records: list[dict[str, Any]]) -> Scanner:
        detector, volume = self._object("detector"), self._object("volume")
        width, height = self._counts(detector, "detector.pixels", 2, 1 << 16)
        du, dv = self._lengths(detector, "detector.spacing", 2)
        ou, ov = self._numbers(detector, "detector.offset", 2, (0.0, 0.0))
        grid = self._grid(volume)
        DSO, DSD = 2 * grid.diagonal, 1.0
        if beam == "cone":
            DSO, DSD = (self._positive(self.entries, name) for name in ("DSO", "DSD"))
            if not DSD > DSO:
                raise self._wrong("DSD", f"the detector, at {DSD:g} from the source, must be behind the axis")
            reach = math.hypot(
                *(max(abs(o), abs(o + s)) for o, s in zip(grid.origin, grid.size, strict=True))
            )
            if reach >= DSO:
                raise self._wrong(
                    "DSO", f"the volume reaches {reach:g} from the axis, to the source at {DSO:g}"
                )
        viewmats = torch.stack([self._viewmat(place, r, DSO) for place, r in self._each(records)])
        unit = str(self.entries.get("unit", "unit"))[:40]
        return Scanner(beam, width, height, (du, dv), (ou, ov), viewmats, grid, DSO, DSD, unit)

    def _grid(self, volume: dict[str, Any]) -> Grid:
        nx, ny, nz = self._counts(volume, "volume.voxels", 3, MOST_VOXELS)
        spacing = self._lengths(volume, "volume.spacing", 3)
        middle = tuple(-n * d / 2 for n, d in zip((nx, ny, nz), spacing, strict=True))
        ox, oy, oz = self._numbers(volume, "volume.origin", 3, middle)
        return Grid((nx, ny, nz), (spacing[0], spacing[1], spacing[2]), (ox, oy, oz))

    def _viewmat(self, place: str, record: dict[str, Any], DSO: float) -> Tensor:
        if "viewmat" not in record:
            if "angle" not in record:
                raise self._wrong(f"{place}.angle", "is missing: in degrees, or give a viewmat")
            degrees = number(self.path, f"{place}.angle", record["angle"])
            return circular([math.radians(degrees)], DSO)[0]
        rows = record["viewmat"]
        if not isinstance(rows, list) or len(rows) != 4:
            raise self._wrong(f"{place}.viewmat", "expected four rows of four numbers")
        matrix = torch.tensor(
            [self._list(row, f"{place}.viewmat[{i}]", 4) for i, row in enumerate(rows)], dtype=torch.float64
        )
        rotation = matrix[:3, :3]
        unit = (rotation @ rotation.T - torch.eye(3)).abs().max() < _ORTHOGONAL
        last = torch.tensor([0.0, 0, 0, 1], dtype=torch.float64)
        if not unit or rotation.det() < 0 or not torch.equal(matrix[3], last):
            raise self._wrong(
                f"{place}.viewmat", "expected a rotation and a translation, [[R, t], [0, 0, 0, 1]]"
            )
        return matrix

    def _integrals(self, scanner: Scanner, records: list[dict[str, Any]]) -> Tensor:
        if "stack" in self.entries:
            file = self._file("stack", self.entries["stack"])
            shape = (len(records), scanner.height, scanner.width)
            return self._as_integrals(file, read_array(file, shape))
        images = []
        for place, record in self._each(records):
            if "file" not in record:
                raise self._wrong(f"{place}.file", "is missing: name the projection, or one stack of all")
            file = self._file(f"{place}.file", record["file"])
            images.append(self._as_integrals(file, _read_image(file, scanner.width, scanner.height)))
        return torch.stack(images)

    def _as_integrals(self, file: Path, values: np.ndarray) -> Tensor:
        measured = torch.from_numpy(values.astype(np.float32))
        if self._choice(self.entries, "values", ("line integral", "intensity")) == "line integral":
            per_level = self.entries.get("per_level", 1)
            return measured * number(self.path, "per_level", per_level)
        full = self._positive(self.entries, "unattenuated")
        if bool((measured < 0).any()):
            raise DataError(
                file, "an intensity is negative", _first(measured < 0), "Subtract less dark current."
            )
        counted = measured[measured > 0]
        if not len(counted):
            raise DataError(file, "all intensities are 0", remedy="Leave this projection out.")
        # Where nothing was counted, more than with the least that was counted was in the way.
        return -(measured.clamp(min=float(counted.min()) / 2) / full).log()

    def _truth(self, grid: Grid) -> Tensor | None:
        if "truth" not in self.entries:
            return None
        return torch.from_numpy(read_array(self._file("truth", self.entries["truth"]), grid.shape))

    def _held_out(self, records: list[dict[str, Any]]) -> Tensor:
        if not any("split" in record for record in records):
            return every(len(records), HELD_OUT)
        held_out = torch.tensor(
            [
                self._choice(record, "split", ("train", "test"), f"{place}.", "train") == "test"
                for place, record in self._each(records)
            ]
        )
        if bool(held_out.all()):
            raise self._wrong("projections", 'all have the split "test", none is left to train on')
        return held_out

    def _each(self, records: Sequence[Any]) -> list[tuple[str, Any]]:
        return [(f"projections[{i}]", record) for i, record in enumerate(records)]

    def _wrong(self, place: str, problem: str) -> DataError:
        return error(self.path, place, problem)

    def _object(self, name: str) -> dict[str, Any]:
        found = self.entries.get(name)
        if not isinstance(found, dict):
            raise self._wrong(name, "is missing, or no object")
        return found

    def _choice(
        self, entries: dict[str, Any], name: str, allowed: tuple[str, ...], within: str = "", usual: str = ""
    ) -> Any:
        found = entries.get(name, usual)
        if found not in allowed:
            raise self._wrong(
                within + name, f"must be {' or '.join(map(repr, allowed))}, not {str(found)[:80]!r}"
            )
        return found

    def _positive(self, entries: dict[str, Any], name: str) -> float:
        if name not in entries:
            raise self._wrong(name, "is missing")
        if (found := number(self.path, name, entries[name])) <= 0:
            raise self._wrong(name, f"must be positive, not {found:g}")
        return found

    def _list(self, value: Any, place: str, count: int) -> list[float]:
        if not isinstance(value, list) or len(value) != count:
            raise self._wrong(place, f"expected {count} numbers")
        return [number(self.path, place, entry) for entry in value]

    def _numbers(
        self, entries: dict[str, Any], place: str, count: int, usual: Sequence[float] | None = None
    ) -> list[float]:
        name = place.rpartition(".")[2]
        if name not in entries and usual is not None:
            return list(usual)
        return self._list(entries.get(name), place, count)

    def _lengths(self, entries: dict[str, Any], place: str, count: int) -> list[float]:
        found = self._numbers(entries, place, count)
        if min(found) <= 0:
            raise self._wrong(place, "must be positive")
        return found

    def _counts(self, entries: dict[str, Any], place: str, count: int, most: int) -> list[int]:
        found = self._numbers(entries, place, count)
        if not all(n == int(n) and 1 <= n <= most for n in found):
            raise self._wrong(place, f"must be whole numbers from 1 to {most:,}")
        return [int(n) for n in found]

    def _file(self, place: str, name: Any) -> Path:
        if not isinstance(name, str) or not name:
            raise self._wrong(place, "must be the name of a file")
        return self.path.parent / relative_path(self.path, place, name)


def read_array(file: Path, shape: Sequence[int]) -> np.ndarray:
    """An .npy file of finite numbers, as float32.

    Raises:
        DataError: it cannot be read, has another shape, or values that are no finite numbers; says where.
    """
    try:
        stored = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise DataError(file, f"cannot be read as .npy: {problem}") from None
    if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "fiu":
        raise DataError(file, "expected one array of real numbers")
    if stored.shape != tuple(shape):
        raise DataError(
            file, f"its shape is {list(stored.shape)}, the geometry says {list(shape)}",
            remedy="Correct the detector, the volume or the list of projections.",
        )  # fmt: skip
    values = np.array(stored, np.float32)
    if not np.isfinite(values).all():
        place = _first(torch.from_numpy(~np.isfinite(values)))
        raise DataError(file, "a value is not finite", place, "Mend dead pixels before.")
    return values


def _read_image(file: Path, width: int, height: int) -> np.ndarray:
    if file.suffix == ".npy":
        return read_array(file, (height, width))
    values = decode_grey(file)
    if values.shape != (height, width):
        raise DataError(
            file, f"is {values.shape[1]} x {values.shape[0]}, but the detector has {width} x {height} pixels",
            remedy="Correct detector.pixels.",
        )  # fmt: skip
    return values


def _first(mask: Tensor) -> str:
    return f"index {mask.nonzero()[0].tolist()}"
