"""`gsplat-core ct` on small scans: what it writes, that it learns, and that it does the same again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from make_phantom import make_scan

from gsplat_core.errors import DataError
from gsplat_core.io import load
from gsplat_core.tomography.geometry_file import read_scan
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.scan import Scan
from gsplat_core.tomography.write import write_scan
from trainers.cli import main
from trainers.ct.config import RadiativeConfig
from trainers.ct.radiative import fitted
from trainers.ct.results import read_field

FITTING = ["--steps", "40", "--set", "initial=80", "densify_every=8", "split_scale=1", "tv_side=4"]


@pytest.fixture(scope="module")
def scan() -> Scan:
    """Of a volume that is not around the axis, in millimetres."""
    scan = make_scan("trabecular", "cone", 10, 2, 16, 8, 0, 0)
    moved = scan.scanner.moved(50.0, (0.1, 0.0, -0.1))
    return Scan(moved, 50 * scan.integrals, scan.held_out, scan.names, scan.truth)


@pytest.fixture(scope="module")
def data(scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scan"
    write_scan(folder, scan)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["ct", str(data), "-o", str(folder), *FITTING]) == 0
    return folder


def metrics_of(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


def test_a_run_has_all_its_parts(run: Path, scan: Scan) -> None:
    metrics = metrics_of(run)
    assert {"psnr_3d", "ssim_3d", "fdk_psnr_3d", "psnr_2d", "psnr_2d_minmax", "train_cpu_seconds"} < set(
        metrics
    )
    assert (metrics["method"], metrics["steps"], metrics["train_views"], metrics["test_views"]) == (
        "r2",
        40,
        10,
        2,
    )
    volume = np.load(run / "volume.npy")
    assert volume.shape == scan.scanner.grid.shape
    assert np.load(run / "test_projections.npy").shape == (2, 16, 16)
    page = (run / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == 3 * 3 + 2 * 3
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert not list(run.rglob(".tmp-*"))


def test_the_volume_opens_in_other_programs(run: Path, scan: Scan) -> None:
    header = dict(line.split(" = ") for line in (run / "volume.mhd").read_text().splitlines())
    nx, ny, nz = map(int, header["DimSize"].split())
    values = np.fromfile(run / header["ElementDataFile"], "<f4").reshape(nz, ny, nx)
    np.testing.assert_array_equal(values.transpose(2, 1, 0), np.load(run / "volume.npy"))
    first = scan.scanner.grid.points()[0, 0, 0].tolist()
    assert list(map(float, header["Offset"].split())) == pytest.approx(first)
    assert float(header["ElementSpacing"].split()[0]) == pytest.approx(scan.scanner.grid.spacing[0])


def test_the_field_is_in_the_units_of_the_scan(run: Path, scan: Scan) -> None:
    field = read_field(run / "field.safetensors")
    assert len(field.means) == metrics_of(run)["num_gaussians"] > 80
    np.testing.assert_allclose(field.volume(scan.scanner.grid), np.load(run / "volume.npy"), atol=1e-4)
    images = field.projections(scan.test.scanner).detach().numpy()
    np.testing.assert_allclose(images, np.load(run / "test_projections.npy"), atol=1e-3 * images.max())


def test_it_learns(run: Path, data: Path, tmp_path: Path) -> None:
    options = ["--steps", "1", "--set", "initial=80"]
    assert main(["ct", str(data), "-o", str(tmp_path / "short"), *options]) == 0
    before, after = metrics_of(tmp_path / "short"), metrics_of(run)
    assert after["psnr_2d"] > before["psnr_2d"] + 1
    assert after["psnr_3d"] > before["psnr_3d"]


def test_nothing_hides_between_the_rows_of_a_parallel_beam() -> None:
    """The mass of thin slices changes more smoothly along the axis."""
    scan = make_scan("shepp-logan", "parallel", 6, 0, 12, 8, 0, 0)
    unit, _ = scan.in_unit_box()
    fine = Grid((8, 8, 160), (0.25, 0.25, 0.0125), (-1.0, -1.0, -1.0))

    def ripple(between_rows: float) -> float:
        config = RadiativeConfig(steps=50, tv=0, between_rows=between_rows)
        mass = fitted(unit, config, torch.device("cpu"), lambda *_: None).volume(fine).sum(dim=(0, 1))
        return float(mass.diff(n=2).abs().sum() / mass.sum())

    assert ripple(1.0) < 0.85 * ripple(0.0)


def test_the_same_seed_is_the_same_field(run: Path, data: Path, tmp_path: Path) -> None:
    assert main(["ct", str(data), "-o", str(tmp_path / "again"), *FITTING]) == 0
    for name in ("field.safetensors", "volume.npy"):
        assert (tmp_path / "again" / name).read_bytes() == (run / name).read_bytes()


def test_intensities_predict_projections(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    options = ["--method", "xgaussian", "--set", "interval=2"]
    assert main(["ct", str(data), "-o", str(folder), *options, "--steps", "60"]) == 0
    scene = load(folder / "point_cloud.ply")
    assert scene.sh_degree == 0
    torch.testing.assert_close(scene.sh0[..., :1].expand(-1, -1, 3), scene.sh0)
    after = metrics_of(folder)
    assert main(["ct", str(data), "-o", str(folder), *options, "--steps", "1", "--overwrite"]) == 0
    assert after["psnr_2d"] > metrics_of(folder)["psnr_2d"] + 2
    assert not (folder / "volume.npy").exists()


def test_a_folder_with_something_else_is_left_alone(run: Path, data: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "mine").write_text("text")
    assert main(["ct", str(data), "-o", str(tmp_path)]) == 2
    assert "something else" in capsys.readouterr().err
    assert main(["ct", str(data), "-o", str(run)]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--set", "tw=1"], 2, "unknown entry"),
        (["--set", "tv"], 2, "NAME=VALUE"),
        (["--set", "tv=-1"], 2, "tv"),
        (["--steps", "0"], 2, "--steps must be"),
    ],
)
def test_wrong_options_are_named(data: Path, tmp_path: Path, options, code, message, capsys) -> None:
    assert main(["ct", str(data), "-o", str(tmp_path / "run"), *options]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_data_that_are_no_scan_are_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    for data, message in (("none", "no such file"), ("a.png", "geometry.json"), (".", "geometry.json")):
        assert main(["ct", str(tmp_path / data), "-o", str(tmp_path / "run")]) == 3
        assert message in capsys.readouterr().err


def test_projections_of_nothing_are_refused(data: Path, scan: Scan, tmp_path: Path, capsys) -> None:
    empty = Scan(scan.scanner, 0 * scan.integrals, scan.held_out, scan.names)
    write_scan(tmp_path / "empty", empty)
    assert read_scan(tmp_path / "empty").truth is None
    assert main(["ct", str(tmp_path / "empty"), "-o", str(tmp_path / "run")]) == 2
    assert "show nothing" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"x" * 20, b"\xff" * 8 + b"{}"])
def test_files_that_hold_no_field_are_refused(tmp_path: Path, content: bytes) -> None:
    (file := tmp_path / "field.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"field\.safetensors.*no density field"):
        read_field(file)
