"""`edit`: a run whose region looks like edited pictures, and that says how near it came."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import gsplat_core.io
from gsplat_core.labels import LABEL
from gsplat_core.scene.schema import PARAMETERS
from trainers.cli import main
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, load_scene, run_config

TRAINING = ["--preset", "tiny", "--steps", "30", "--test-every", "4", "--max-gaussians", "200"]


@pytest.fixture(scope="module")
def run(tiny_scene, tmp_path_factory):
    """A run with the label 1 where x is positive."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "tiny")
    assert main(["train", str(tiny_scene), "-o", str(folder.path), *TRAINING]) == 0
    scene = load_scene(folder.path, print)
    scene.extras[LABEL] = (scene.means[:, 0] > 0).int()
    gsplat_core.io.export_verified(folder.point_cloud, scene)
    return folder


@pytest.fixture(scope="module")
def targets(run, tmp_path_factory):
    """Renderings whose red and blue are exchanged."""
    folder = tmp_path_factory.mktemp("targets")
    assert main(["render", str(run.path), "--path", "train", "-o", str(folder)]) == 0
    for path in folder.iterdir():
        Image.fromarray(np.asarray(Image.open(path))[..., ::-1].copy()).save(path)
    return folder


def edit(run, targets, output, *options: str, roi: int = 1) -> int:
    return main(
        ["edit", str(run.path), "--roi", str(roi), "--targets", str(targets), "-o", str(output), *options]
    )


@pytest.mark.parametrize("options", [(), ("--anchors", "off", "--colours-only")])
def test_a_region_becomes_what_pictures_show(run, targets, tmp_path, capsys, options):
    edited = RunFolder(tmp_path / "edited")
    assert edit(run, targets, edited.path, "--steps", "60", *options) == 0
    done = json.loads(edited.derived.read_text())
    told = capsys.readouterr().out
    assert f"{done['inside_before']:.2f} -> {done['inside_after']:.2f} dB" in told
    assert f"{done['outside_before']:.2f} -> {done['outside_after']:.2f} dB" in told
    assert done["inside_after"] > done["inside_before"] + 1
    assert (done["command"], done["roi"], done["pictures"]) == ("edit", 1, len(list(targets.iterdir())))
    before, after = (load_scene(folder.path, print) for folder in (run, edited))
    outside = {scene: scene.extras[LABEL] == 0 for scene in (before, after)}
    for name in PARAMETERS:
        assert torch.equal(before.params[name][outside[before]], after.params[name][outside[after]]), name
    if options:
        assert torch.equal(before.means, after.means)
        assert not torch.equal(before.sh0, after.sh0)
    assert json.loads(edited.metrics.read_text())["num_gaussians"] == after.num
    assert main(["eval", str(edited.path)]) == 0


def test_the_same_seed_is_the_same_edit(run, targets, tmp_path):
    for name in ("first", "second"):
        assert edit(run, targets, tmp_path / name, "--steps", "5") == 0
    first, second = (RunFolder(tmp_path / name) for name in ("first", "second"))
    assert first.point_cloud.read_bytes() == second.point_cloud.read_bytes()
    assert first.derived.read_text() == second.derived.read_text()


def test_photographs_without_a_picture_are_not_used(run, targets, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    (few / "notes.txt").write_text("not a picture")
    for path in sorted(targets.iterdir())[:2]:
        Image.open(path).save(few / f"{path.stem}.webp", lossless=True)
    assert edit(run, few, tmp_path / "edited", "--steps", "2") == 0
    assert json.loads(RunFolder(tmp_path / "edited").derived.read_text())["pictures"] == 2


def test_what_cannot_be_edited_is_told_and_nothing_is_written(run, targets, tmp_path, capsys):
    output = tmp_path / "edited"
    small, other, twice = (tmp_path / name for name in ("small", "other", "twice"))
    for folder in (small, other, twice):
        shutil.copytree(targets, folder)
    first = sorted(small.iterdir())[0]
    Image.new("RGB", (20, 10)).save(first)
    for path in other.iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    Image.open(twice / first.name).save(twice / f"{first.stem}.bmp")
    unlabelled = RunFolder(tmp_path / "unlabelled")
    shutil.copytree(run.path, unlabelled.path)
    scene = load_scene(run.path, print)
    del scene.extras[LABEL]
    gsplat_core.io.export_verified(unlabelled.point_cloud, scene)
    camera = load_photographs(run_config(run.path)).train[0].camera
    sizes = f"is 20 x 10 pixels.*{camera.width} x {camera.height}.*--path train"
    for arguments, code, message in (
        ((run, small, output), 3, f"{first.name}: {sizes}"),
        ((run, other, output), 3, "no picture in it is named as a training photograph, such as"),
        ((run, twice, output), 3, "is of the same photograph as"),
        ((run, tmp_path / "nowhere", output), 3, "there is no such file or folder"),
        ((unlabelled, targets, output), 2, "have no labels; `gsplat-core segment`"),
        ((run, targets, run.path), 2, "needs a folder of its own"),
        ((run, targets, unlabelled.path), 2, "already holds a run. Use --overwrite"),
        ((run, targets, output, "--steps", "0"), 2, "--steps must be from 1"),
    ):  # fmt: skip
        assert edit(*arguments) == code
        assert_told(capsys, message)
    assert edit(run, targets, output, roi=9) == 2
    assert_told(capsys, "No Gaussian has the label 9; there are: 0, 1")
    assert not output.exists()


def assert_told(capsys, message: str) -> None:
    told = " ".join(capsys.readouterr().err.split())
    assert re.search(message, told), told
