"""A run made of another, or of a splat file with photographs, has what every run has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from splat_files import typical_scene

import gsplat_core.io
from gsplat_core.errors import DataError, UsageError
from trainers.cli import main
from trainers.derived_run import Origin, folder_for, write_derived
from trainers.results import measure
from trainers.run_folder import RunFolder
from trainers.sources import load_scene, run_config


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scene.ply"
    gsplat_core.io.save(path, typical_scene(40, 1).with_metadata(antialiased=True, eps2d=0.1))
    return path


@pytest.fixture
def first(file: Path, tiny_scene: Path, tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "first")
    origin = Origin.open(file, tiny_scene, device="cpu")
    with run.owned():
        write_derived(run, origin, origin.gaussians, {"command": "nothing"})
    return run


def test_a_file_with_photographs_becomes_a_run(first: RunFolder, file: Path, tiny_scene: Path) -> None:
    metrics = json.loads(first.metrics.read_text())
    assert metrics["derived"] == {"command": "nothing", "source": str(file)}
    assert first.report.exists()
    assert len(list(first.test.iterdir())) == len(metrics["per_image"])
    config = run_config(first.path)
    assert (config.data, config.antialiased, config.eps2d) == (str(tiny_scene), True, 0.1)
    scene = load_scene(first.path, print)
    assert torch.equal(scene.means, gsplat_core.io.load(file).means)
    assert scene.metadata == gsplat_core.io.load(file).metadata


def test_what_was_done_is_still_known_after_an_evaluation(first: RunFolder) -> None:
    before = json.loads(first.metrics.read_text())
    assert main(["eval", str(first.path)]) == 0
    assert json.loads(first.metrics.read_text()) == before


def test_a_run_becomes_another_whose_measurements_are_its_own(first: RunFolder, tmp_path: Path) -> None:
    costs = {"steps": 7, "train_seconds": 1.5}
    metrics = json.loads(first.metrics.read_text())
    first.metrics.write_text(json.dumps(metrics | costs))
    first.parts.mkdir()
    kept = {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()}
    origin = Origin.open(first.path)
    half = origin.gaussians.subset(slice(0, 20))
    second = RunFolder(tmp_path / "second")
    with second.owned():
        written = write_derived(second, origin, half, {"command": "cut", "rows": 20})
    assert written == json.loads(second.metrics.read_text())
    assert written["derived"] == {"command": "cut", "rows": 20, "source": str(first.path)}
    assert {name: written[name] for name in costs} == costs
    expected, _ = measure(origin.config, origin.dataset, half)
    assert (written["psnr"], written["num_gaussians"]) == (expected["psnr"], 20)
    assert run_config(second.path) == origin.config
    assert kept == {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()}
    # A run in its place takes all of it away.
    second.remove_results()
    assert [path.name for path in second.path.iterdir()] == [".lock"]


def test_folders_that_are_not_for_a_new_run(first: RunFolder, file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a folder of its own"):
        folder_for(first.path, first.path, overwrite=True)
    with pytest.raises(UsageError, match="needs a folder of its own"):
        folder_for(first.path, first.point_cloud, overwrite=True)
    with pytest.raises(UsageError, match=r"scene\.ply is a file"):
        folder_for(file, first.path, overwrite=True)
    with pytest.raises(UsageError, match="already holds a run"):
        folder_for(first.path, file, overwrite=False)
    assert folder_for(first.path, file, overwrite=True).path == first.path
    assert not folder_for(tmp_path / "new", file, overwrite=False).path.exists()


def test_origins_that_are_none(first: RunFolder, file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="add --scene DATA"):
        Origin.open(file)
    gsplat_core.io.save(tmp_path / "empty.ply", typical_scene(0))
    with pytest.raises(DataError, match="no Gaussians in it"):
        Origin.open(tmp_path / "empty.ply")
    first.derived.write_text("[")
    with pytest.raises(DataError, match=r"derived\.json"):
        first.read_derived()
