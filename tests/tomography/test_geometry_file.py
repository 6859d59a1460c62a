"""geometry.json and the projections that it names: read as written, and refused with file and field."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_phantom import make_scan
from PIL import Image

from gsplat_core.errors import DataError
from gsplat_core.tomography.geometry_file import read_scan
from gsplat_core.tomography.scan import Scan
from gsplat_core.tomography.write import write_scan


@pytest.fixture(scope="module")
def scan() -> Scan:
    return make_scan("shepp-logan", "cone", 6, 2, 12, 8, 0, 3)


@pytest.fixture(scope="module")
def written(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan") / "scan"
    write_scan(folder, scan)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "scan")


def change(folder: Path, **entries: Any) -> dict[str, Any]:
    """Sets entries of geometry.json, those of which None is given are left out; "a__b" is b within a."""
    path = folder / "geometry.json"
    content = json.loads(path.read_text())
    for name, value in entries.items():
        within = content
        *parts, last = name.split("__")
        for part in parts:
            within = within[int(part) if part.isdigit() else part]
        if value is None:
            del within[last]
        else:
            within[last] = value
    path.write_text(json.dumps(content))
    return content


@pytest.mark.parametrize("beam", ["cone", "parallel"])
def test_scans_are_read_as_they_were_written(tmp_path: Path, beam: str) -> None:
    scan = make_scan("trabecular", beam, 5, 2, 9, 6, 1e4, 1)
    write_scan(tmp_path / "a" / "scan", scan)
    read = read_scan(tmp_path / "a" / "scan")
    assert torch.equal(read.integrals, scan.integrals)
    assert torch.equal(read.held_out, scan.held_out)
    assert scan.truth is not None
    assert read.truth is not None
    assert torch.equal(read.truth, scan.truth)
    ours, theirs = read.scanner.rays(), scan.scanner.rays()
    torch.testing.assert_close(ours[1], theirs[1], rtol=0, atol=1e-12)
    # Of a parallel beam it does not matter where along themselves rays start.
    apart = ours[0] - theirs[0]
    across = apart - (apart * theirs[1]).sum(-1, keepdim=True) * theirs[1]
    assert float(across.abs().max()) < 1e-12
    assert read.scanner.grid == scan.scanner.grid


def test_poses_off_the_circle_are_written_as_matrices(scan: Scan, tmp_path: Path) -> None:
    tilted = scan.scanner.viewmats.clone()
    tilted[:, 1, 3] = 0.5
    write_scan(tmp_path / "scan", Scan(
        scan.scanner.selected(torch.arange(8)).__class__(**{**vars(scan.scanner), "viewmats": tilted}),
        scan.integrals, scan.held_out, scan.names,
    ))  # fmt: skip
    torch.testing.assert_close(read_scan(tmp_path / "scan").scanner.viewmats, tilted)


def as_images(folder: Path, scan: Scan, full: float) -> None:
    levels = (full * (-scan.integrals).exp()).round().numpy().astype(np.uint16)
    for number, image in enumerate(levels):
        Image.fromarray(image).save(folder / f"{number}.png")
    records = [{"angle": 45 * i, "file": f"{i}.png"} for i in range(len(levels))]
    change(folder, stack=None, values="intensity", unattenuated=full, projections=records)


def test_intensities_are_logarithms_of_line_integrals(folder: Path, scan: Scan) -> None:
    as_images(folder, scan, 60_000)
    read = read_scan(folder)
    torch.testing.assert_close(read.integrals, scan.integrals, rtol=0, atol=1e-4)
    assert read.names[1] == "1.png"
    # No split is given: every sixth is held out.
    assert read.held_out.tolist() == [False, False, False, True, False, False, False, False]


def test_where_nothing_was_counted_more_was_in_the_way(folder: Path) -> None:
    stack = np.full((8, 12, 12), 100.0)
    stack[2, 3, 4], stack[2, 5, 6] = 0, 10
    np.save(folder / "projections.npy", stack)
    change(folder, values="intensity", unattenuated=100)
    integrals = read_scan(folder).integrals
    assert float(integrals[2, 3, 4]) == pytest.approx(math.log(20))
    assert float(integrals[2, 5, 6]) == pytest.approx(math.log(10))
    assert not integrals[0].any()


def test_levels_of_images_may_stand_for_line_integrals(folder: Path) -> None:
    Image.fromarray(np.full((12, 12), 5000, np.uint16)).save(folder / "a.tif")
    change(folder, stack=None, per_level=1e-3, projections=[{"angle": 0, "file": "a.tif"}] * 2, truth=None)
    read = read_scan(folder)
    assert float(read.integrals.max()) == float(read.integrals.min()) == pytest.approx(5)


@pytest.mark.parametrize(
    ("entries", "field"),
    [
        ({"projections__3__angle": None}, r"projections\[3\].angle\): is missing"),
        ({"projections__3__angle": "90"}, r"projections\[3\].angle\): must be a number"),
        ({"projections": []}, "projections.*list"),
        ({"projections": [1]}, r"projections\[0\].*object"),
        ({"projections__0__viewmat": [[1, 0, 0, 0]] * 4}, r"projections\[0\].viewmat\).*rotation"),
        ({"projections__0__viewmat": [1]}, r"projections\[0\].viewmat\).*four rows"),
        ({"projections__1__split": "val"}, r"projections\[1\].split\): must be 'train' or 'test'"),
        ({"stack": None}, r"projections\[0\].file\): is missing"),
        ({"stack": "../x.npy"}, "stack.*not a path below"),
        ({"stack": 3}, "stack.*name of a file"),
        ({"beam": "fan"}, "beam.*'cone' or 'parallel', not 'fan'"),
        ({"DSD": None}, "DSD.*is missing"),
        ({"DSD": 5}, "DSD.*behind the axis"),
        ({"DSO": 1.2, "DSD": 5}, "DSO.*the volume reaches"),
        ({"DSO": -1}, "DSO.*positive"),
        ({"detector": None}, "detector.*is missing"),
        ({"detector__pixels": [12, 0]}, "detector.pixels.*whole numbers from 1"),
        ({"detector__spacing": [1]}, "detector.spacing.*2 numbers"),
        ({"detector__spacing": [1, 0]}, "detector.spacing.*positive"),
        ({"detector__offset": [1, math.nan]}, "detector.offset.*finite"),
        ({"volume__voxels": [8, 8, 1e9]}, "volume.voxels.*whole numbers"),
        ({"values": "density"}, "values.*'line integral' or 'intensity'"),
        ({"values": "intensity"}, "unattenuated.*missing"),
        ({"per_level": math.inf}, "per_level.*finite"),
    ],
    ids=str,
)
def test_entries_that_make_no_sense_are_named(folder: Path, entries: dict[str, Any], field: str) -> None:
    change(folder, **entries)
    with pytest.raises(DataError, match=rf"geometry\.json \(.*{field}"):
        read_scan(folder)


def test_all_projections_for_testing_are_none_for_training(folder: Path) -> None:
    records = [{"angle": 1, "split": "test"}] * 8
    change(folder, projections=records)
    with pytest.raises(DataError, match="none is left to train on"):
        read_scan(folder)


def test_projections_of_another_size_are_refused(folder: Path, scan: Scan) -> None:
    as_images(folder, scan, 60_000)
    change(folder, detector__pixels=[12, 10])
    with pytest.raises(DataError, match=r"0\.png: is 12 x 12, but the detector has 12 x 10 pixels"):
        read_scan(folder)
    change(folder, stack="projections.npy")
    with pytest.raises(DataError, match=r"projections\.npy: its shape is \[8, 12, 12\].*\[8, 10, 12\]"):
        read_scan(folder)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_values_that_are_not_finite_are_found(folder: Path, scan: Scan, wrong: float) -> None:
    stack = scan.integrals.numpy().copy()
    stack[3, 2, 1] = wrong
    np.save(folder / "projections.npy", stack)
    with pytest.raises(DataError, match=r"projections\.npy \(index \[3, 2, 1\]\): a value is not finite"):
        read_scan(folder)


def test_negative_intensities_are_found(folder: Path) -> None:
    stack = np.ones((8, 12, 12))
    stack[1, 2, 3] = -0.1
    np.save(folder / "projections.npy", stack)
    change(folder, values="intensity", unattenuated=1)
    with pytest.raises(DataError, match=r"\(index \[1, 2, 3\]\): an intensity is negative"):
        read_scan(folder)
    np.save(folder / "projections.npy", 0 * stack)
    with pytest.raises(DataError, match="all intensities are 0"):
        read_scan(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000])
def test_what_is_no_geometry_is_refused(folder: Path, content: str) -> None:
    (folder / "geometry.json").write_text(content)
    with pytest.raises(DataError, match="geometry"):
        read_scan(folder)
    (folder / "geometry.json").unlink()
    with pytest.raises(DataError, match=r"there is no geometry\.json"):
        read_scan(folder)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"x" * 99], ids=["empty", "cut", "other"])
def test_arrays_that_are_none_are_refused(folder: Path, content: bytes) -> None:
    (folder / "projections.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"projections\.npy: cannot be read"):
        read_scan(folder)
    np.save(folder / "projections.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match=r"projections\.npy: cannot be read"):
        read_scan(folder)
