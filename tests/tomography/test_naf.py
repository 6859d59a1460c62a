"""Scans in the pickles of NAF and R2-Gaussian: millimetres, rows of the detector, and what is missing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_phantom import make_scan

from gsplat_core.errors import DataError
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.naf import read_naf
from gsplat_core.tomography.scanner import circular


def layout(**changes: Any) -> dict[str, Any]:
    """With 8 pixels along x of the detector and 6 along y. A change to None leaves the entry out."""
    random = np.random.default_rng(0)
    entries = {
        "mode": "cone", "DSO": 1000.0, "DSD": 1500.0, "nDetector": [8, 6], "dDetector": [2.0, 3.0],
        "nVoxel": np.array([4, 5, 6]), "dVoxel": [10.0, 8.0, 5.0],
        "offOrigin": [0, 0, 4.0], "offDetector": [1.0, 0.5],
        "image": random.random((4, 5, 6), np.float32), "numTrain": 3, "numVal": 2,
        "train": {"angles": np.array([0.0, 1.0, 2.0]), "projections": random.random((3, 6, 8))},
        "val": {"angles": np.array([0.5, 1.5]), "projections": random.random((2, 6, 8))},
    }  # fmt: skip
    return {name: value for name, value in {**entries, **changes}.items() if value is not None}


def read(folder: Path, entries: Any) -> Any:
    (file := folder / "scan.pickle").write_bytes(pickle.dumps(entries))
    return read_naf(file)


def test_lengths_are_millimetres(tmp_path: Path) -> None:
    entries = layout()
    scan = read(tmp_path, entries)
    scanner = scan.scanner
    assert (scanner.width, scanner.height, scanner.spacing) == (8, 6, (0.002, 0.003))
    assert (scanner.DSO, scanner.DSD, scanner.unit) == (1.0, 1.5, "m")
    assert scanner.grid.origin == pytest.approx((-0.02, -0.02, -0.011))
    torch.testing.assert_close(scanner.viewmats, circular([0.0, 1.0, 2.0, 0.5, 1.5], 1.0))
    K = scanner.Ks[0]
    assert [K[0, 0], K[0, 2], K[1, 2]] == pytest.approx([750, 4 - 0.5, 3 - 1 / 6])
    assert scan.held_out.tolist() == [False] * 3 + [True] * 2
    np.testing.assert_allclose(scan.integrals[:3], entries["train"]["projections"], rtol=1e-6)
    np.testing.assert_array_equal(scan.truth, entries["image"])


def test_the_same_scan_is_the_same_in_both_layouts(tmp_path: Path) -> None:
    scan = make_scan("shepp-logan", "parallel", 4, 1, 8, 4, 0, 0)
    s = scan.scanner
    angles = torch.atan2(-s.viewmats[:, 2, 1], -s.viewmats[:, 2, 0]).numpy()
    found = read(tmp_path, {
        "mode": "parallel", "DSO": 6000, "DSD": 9000, "nDetector": [8, 8], "offOrigin": [0] * 3,
        "dDetector": [1000 * d for d in s.spacing], "nVoxel": [4] * 3, "dVoxel": [500] * 3,
        "offDetector": [0] * 2,
        "train": {"angles": angles, "projections": scan.integrals.numpy()},
    })  # fmt: skip
    torch.testing.assert_close(found.scanner.viewmats, s.viewmats)
    torch.testing.assert_close(found.scanner.Ks, s.Ks)
    assert found.scanner.grid == Grid.cube(4)
    assert found.truth is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DSD": None}, r"\(DSD\): is missing"),
        ({"DSO": -1}, r"\(DSO\): expected 1 positive"),
        ({"nDetector": [8, 6.5]}, r"\(nDetector\): expected 2 whole numbers"),
        ({"nDetector": [6, 8]}, r"\(projections\): expected \[3, 8, 6\] numbers, got \[3, 6, 8\]"),
        ({"dVoxel": [1, 2]}, r"\(dVoxel\): expected 3 positive"),
        ({"dVoxel": "text"}, r"\(dVoxel\): expected numbers"),
        ({"train": None}, r"\(train\): is missing"),
        ({"val": {"angles": [0.0]}}, r"\(projections\): is missing"),
        ({"image": np.zeros((4, 5, 5))}, r"\(image\): expected \[4, 5, 6\]"),
        ({"offDetector": [np.nan, 0]}, r"\(offDetector\): a value is not finite"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=r"scan\.pickle " + message):
        read(tmp_path, layout(**changes))


def test_other_pickles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a dictionary"):
        read(tmp_path, [1, 2])
