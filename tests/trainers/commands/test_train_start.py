"""`train --start` and `--densify-scale`: a training goes on with the Gaussians of a scene and their labels,
and who has which label grows at its own threshold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import gsplat_core.io
from gsplat_core.labels import labelled, labels_of
from trainers.cli import main
from trainers.run_folder import RunFolder
from trainers.sources import load_scene

TRAINING = ["--preset", "tiny", "--test-every", "4", "--sky", "never", "--gaps", "never"]
SCHEDULE = ["adc.refine_start=5", "adc.refine_stop=40", "adc.refine_every=10", "adc.reset_every=50"]


@pytest.fixture(scope="module")
def scene(tiny_scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose result is labelled: 1 on one side, 0 on the other."""
    folder = tmp_path_factory.mktemp("scene") / "run"
    assert main(["train", str(tiny_scene), "-o", str(folder), *TRAINING, "--steps", "60"]) == 0
    path = folder.parent / "labelled.ply"
    first = load_scene(folder, print)
    gsplat_core.io.save(path, labelled(first, first.means[:, 0] > 0))
    return path


def train(tiny_scene: Path, run: Path, scene: Path, *options: str) -> int:
    steps = [] if "--resume" in options else ["--steps", "25"]
    return main(
        ["train", str(tiny_scene), "-o", str(run), *TRAINING, *steps, "--start", str(scene), *options]
    )


def grown(run: Path) -> dict[int, int]:
    labels = labels_of(load_scene(run, print))
    assert labels is not None
    return {label: int((labels == label).sum()) for label in (0, 1)}


def test_it_starts_where_the_scene_is(tiny_scene, scene, tmp_path) -> None:
    """One step from it, the scene is nearly as good, and its labels are with their Gaussians."""
    run = tmp_path / "run"
    assert train(tiny_scene, run, scene, "--set", "steps=1") == 0
    before, after = gsplat_core.io.load(scene), load_scene(run, print)
    assert after.num == before.num
    assert torch.equal(labels_of(after) == 1, after.means[:, 0] > 0)
    first = RunFolder(scene.parent / "run").read_metrics()["psnr"]
    assert RunFolder(run).read_metrics()["psnr"] == pytest.approx(first, abs=0.3)


def test_a_class_grows_at_its_own_threshold_and_the_same_command_goes_on(tiny_scene, scene, tmp_path) -> None:
    scales = tmp_path / "labels.json"
    scales.write_text('{"scales": {"1": 1e-6, "0": 1e6}}')
    options = ["--strategy", "adc", "--densify-scale", str(scales), "--set", *SCHEDULE]
    start = {label: int((labels_of(gsplat_core.io.load(scene)) == label).sum()) for label in (0, 1)}
    run = tmp_path / "run"
    assert train(tiny_scene, run, scene, *options) == 0
    assert grown(run)[0] <= start[0]
    assert grown(run)[1] > 1.5 * start[1]
    assert train(tiny_scene, run, scene, *options, "--resume") == 0
    scales.write_text('{"scales": {"1": 2}}')
    assert train(tiny_scene, run, scene, *options, "--resume") == 2


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ('{"scales": {"7": 0.5}}', 2, "no Gaussian has the label 7; there are 0, 1"),
        ('{"scales": {"1": -0.5}}', 3, "scales.1 must be a number more than 0"),
        ('{"scales": {"1": "half"}}', 3, "scales.1 must be a number"),
        ('{"scales": {"face": 0.5}}', 3, "'face' is no label"),
        ('{"scales": [0.5]}', 3, "scales must be"),
        ('{"1": 0.5}', 3, "unknown entry '1'; known are scales, lambda_clone, lambda_split"),
        ("[1]", 3, "must be an object"),
        ('{"scales": {"1": 0.5}', 3, "labels.json"),
        ('{"scales": {"1": 0.5}, "lambda_split": -9}', 2, "lambda needs gradients"),
        (None, 3, "cannot be read"),
    ],
)
def test_files_that_say_nothing_usable_are_refused_and_nothing_is_begun(
    tiny_scene, scene, tmp_path, capsys, text, code, message
) -> None:
    scales, run = tmp_path / "labels.json", tmp_path / "run"
    if text is not None:
        scales.write_text(text)
    strategy = "mcmc" if text and "lambda" in text else "adc"
    assert train(tiny_scene, run, scene, "--strategy", strategy, "--densify-scale", str(scales)) == code
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (run / "config.json").exists()


def test_without_labels_there_are_no_thresholds_for_them(tiny_scene, tmp_path, capsys) -> None:
    scales = tmp_path / "labels.json"
    scales.write_text('{"scales": {"1": 0.5}}')
    options = ["--steps", "20", "--strategy", "adc", "--densify-scale", str(scales)]
    assert main(["train", str(tiny_scene), "-o", str(tmp_path / "run"), *TRAINING, *options]) == 2
    assert "have no labels" in " ".join(capsys.readouterr().err.split())


def test_a_scene_that_is_not_there_or_too_large_is_refused(tiny_scene, scene, tmp_path, capsys) -> None:
    assert train(tiny_scene, tmp_path / "run", tmp_path / "nothing.ply") == 3
    assert train(tiny_scene, tmp_path / "run", scene, "--max-gaussians", "10") == 2
    assert "more than the 10 allowed" in " ".join(capsys.readouterr().err.split())


def test_a_run_goes_on_although_its_start_is_gone_from_its_command(tiny_scene, scene, tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    assert train(tiny_scene, run.path, scene) == 0
    assert json.loads(run.config.read_text())["start"] == str(scene.resolve())
    assert main(["train", str(tiny_scene), "-o", str(run.path), "--resume"]) == 0
    assert main(["train", str(tiny_scene), "-o", str(run.path), "--resume", "--start", str(run.path)]) == 2
