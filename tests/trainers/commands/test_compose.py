"""The command `compose`, on files of every format."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import CASES
from harmonized_halves import with_cast
from paths import real_scene
from splat_files import typical_scene

from gsplat_core.io import DataWarning, load, save
from gsplat_core.metrics import psnr
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.regions import box_of
from gsplat_core.scene.transform_file import similarity_of
from gsplat_core.strict_json import write_json
from trainers.camera_paths import views_around
from trainers.cli import main
from trainers.config import TrainConfig
from trainers.evaluation import render
from trainers.run_folder import RunFolder

MOVE = {"scale": 1.7, "rotation": [math.cos(0.4), 0, math.sin(0.4), 0], "translation": [1, -2, 0.5]}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def compose(*words: object) -> int:
    return main(["compose", *map(str, words)])


def likeness(scenes: tuple[Gaussians, Gaussians], cameras: tuple[list[Camera], list[Camera]]) -> float:
    """The smallest PSNR between their images."""
    pairs = zip(*cameras, strict=True)
    return min(float(psnr(render(scenes[0], a), render(scenes[1], b))) for a, b in pairs)


def moved(camera: Camera) -> Camera:
    """The camera where `MOVE` takes it."""
    similarity = similarity_of(MOVE)
    rotation, center = similarity.rotation.numpy(), similarity.apply(torch.from_numpy(camera.center.copy()))
    viewmat = np.eye(4)
    viewmat[:3, :3] = camera.viewmat[:3, :3] @ rotation.T
    viewmat[:3, 3] = -viewmat[:3, :3] @ center.numpy()
    return replace(camera, viewmat=viewmat, near=camera.near * similarity.scale)


def real_or_typical() -> Gaussians:
    try:
        return load(real_scene("trained_ply") / "trained_9080.ply")
    except pytest.skip.Exception:
        return typical_scene(2000, 3)


def test_halves_put_together_look_like_the_whole(tmp_path: Path) -> None:
    whole = real_or_typical()
    save(tmp_path / "a.ply", whole)
    half = f"-inf,-inf,-inf,{float(whole.means[:, 0].median())},inf,inf"
    assert compose(tmp_path / "a.ply", "--box", half, "-o", tmp_path / "west.ply") == 0
    assert compose(tmp_path / "a.ply", "--box", half, "--outside", "-o", tmp_path / "east.ply") == 0
    assert compose(tmp_path / "west.ply", tmp_path / "east.ply", "-o", tmp_path / "both.ply") == 0
    both = load(tmp_path / "both.ply")
    assert both.num == whole.num
    cameras = views_around(whole, 2, (160, 120))
    assert likeness((whole, both), (cameras, cameras)) > 55


def test_a_moved_scene_looks_the_same_from_moved_cameras(tmp_path: Path) -> None:
    whole = real_or_typical()
    assert whole.sh_degree == 3
    save(tmp_path / "a.ply", whole)
    (tmp_path / "t.json").write_text(json.dumps(MOVE))
    moving = ["--transform", tmp_path / "t.json", "-o", tmp_path / "b.ply"]
    assert compose(tmp_path / "a.ply", *moving) == 0
    cameras = views_around(whole, 2, (160, 120))
    scenes = (whole, load(tmp_path / "b.ply"))
    assert likeness(scenes, (cameras, [moved(camera) for camera in cameras])) > 60
    assert likeness(scenes, (cameras, cameras)) < 30


@pytest.mark.parametrize("case", CASES)
def test_every_operation_on_every_format_that_is_read(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known = CASES[case]
    first, second, output = tmp_path / known.name, tmp_path / "b.ply", tmp_path / "c.ply"
    other = typical_scene(40, 1, seed=1)
    other.extras["label"] = torch.arange(40, dtype=torch.int32) % 3
    save(second, other)
    known.write(first, typical_scene(60, min(known.degree, 1)))
    (tmp_path / "t.json").write_text(json.dumps([MOVE, {}]))
    before = {path: path.read_bytes() for path in (first, second)}
    done = compose(
        first, second, "--transform", tmp_path / "t.json", "--box", "-9,-9,-9,9,1,9", "--sphere", "0,0,0,2",
        "--outside", "--offset-labels", "--labels", "drop=0", "--labels", "2=9", "-o", output,
    )  # fmt: skip
    if case == "gsz of anchors":  # which are no plain Gaussians, and look like none
        assert done == 2
        assert "merge plain Gaussians that look like that scene" in capsys.readouterr().err
        assert not output.exists()
        assert {path: path.read_bytes() for path in before} == before
        return
    assert done == 0
    # Rows that share their decoders come together with others as what they look like.
    scene = load(first).baked().transformed(similarity_of(MOVE))
    scene.extras["label"] = torch.ones(scene.num, dtype=torch.int32)
    labels = other.extras["label"]
    other.extras["label"] = torch.where(labels > 0, labels + 1, 0).int()
    expected = Gaussians.merge([scene, other])
    labels = expected.extras["label"]
    outside = ~box_of("-9,-9,-9,9,1,9").contains(expected.means) & (expected.means.norm(dim=1) > 2)
    expected.extras["label"] = labels.masked_fill(labels == 2, 9)
    expected = expected.subset(outside & (labels != 0))
    found = load(output)
    assert 0 < found.num < 100
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in expected.state_dict().items())
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("ending", [".compressed.ply", ".spz", ".sog", ".splat", ".glb", ".gsz", ".html"])
def test_every_format_that_is_written(tmp_path: Path, ending: str) -> None:
    save(tmp_path / "a.ply", typical_scene(200, 1))
    output = tmp_path / f"c{ending}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        assert compose(tmp_path / "a.ply", "--box", "0,-inf,-inf,inf,inf,inf", "-o", output) == 0
    assert load(output).num == int((typical_scene(200, 1).means[:, 0] >= 0).sum())


def test_a_folder_and_options_of_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sog").mkdir()
    save(tmp_path / "sog" / "meta.json", typical_scene(50, 0))
    save(tmp_path / "a.ply", typical_scene(20, 0).with_metadata(antialiased=True))
    two = (tmp_path / "sog", tmp_path / "a.ply", "-o", tmp_path / "b.ply")
    assert compose(*two) == 2
    assert "--read antialiased=true" in capsys.readouterr().err
    assert compose(*two, "--read", "antialiased=true", "--read", "axes=ply") == 2
    assert "--read axes=ply: none of these files has such an option" in capsys.readouterr().err
    assert compose(*two, "--read", "antialiased=true") == 0
    assert "70 of 70 Gaussians" in capsys.readouterr().out
    assert compose(tmp_path / "sog", "-o", tmp_path / "sog" / "meta.json") == 2
    assert "is the source" in capsys.readouterr().err
    assert load(tmp_path / "b.ply").metadata.antialiased


def test_a_run_is_drawn_as_it_was_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_json(run.config, TrainConfig(antialiased=True).to_json())
    save(run.point_cloud, typical_scene(30, 0))
    save(tmp_path / "a.ply", typical_scene(20, 0))
    output = tmp_path / "b.ply"
    assert compose(run.path, tmp_path / "a.ply", "-o", output) == 2
    assert "antialiased" in capsys.readouterr().err
    assert compose(run.path, "-o", output) == 0
    assert load(output).metadata.antialiased
    assert compose(run.path, tmp_path / "a.ply", "-o", output, "--read", "antialiased=false") == 0
    assert not load(output).metadata.antialiased
    assert compose(run.path, "-o", run.point_cloud) == 2
    assert "is the source" in capsys.readouterr().err


def test_what_is_not_kept_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.ply", typical_scene(20, 0))
    save(tmp_path / "b.ply", typical_scene(20, 2))
    assert compose(tmp_path / "a.ply", tmp_path / "b.ply", "-o", tmp_path / "c.ply") == 0
    said = capsys.readouterr().out
    assert "SH degree 2" in said
    assert "scenes of SH degree 0 do not have are 0" in said


@pytest.mark.parametrize("link", ["itself", "symbolic", "hard", "of the folder"])
def test_a_source_is_never_written_over(tmp_path: Path, capsys, link: str) -> None:
    source, other, output = tmp_path / "a.ply", tmp_path / "b.ply", tmp_path / "c.ply"
    for path in (source, other):
        save(path, typical_scene(10, 0))
    if link == "itself":
        output = source
    elif link == "symbolic":
        output.symlink_to(source)
    elif link == "hard":
        output.hardlink_to(source)
    else:
        (tmp_path / "here").symlink_to(tmp_path)
        output = tmp_path / "here" / "a.ply"
    content = source.read_bytes()
    assert compose(other, source, "-o", output) == 2
    assert "is the source" in capsys.readouterr().err
    assert source.read_bytes() == content == output.read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["a.ply", "-o", "b.nothing"], 2, "no file format has this ending"),
        (["a.ply", "-o", "b.ksplat"], 2, "cannot be written"),
        (["nowhere.ply", "-o", "b.ply"], 3, "no such file"),
        (["cut.ply", "-o", "b.ply"], 3, "the file is cut off"),
        (["a.ply", "cut.ply", "-o", "b.ply"], 3, "the file is cut off"),
        (["photo.ply", "-o", "b.ply"], 3, "a JPEG image"),
        (["a.ply", "-o", "b.ply", "--box", "1,2"], 2, "a box is x0,y0,z0,x1,y1,z1"),
        (["a.ply", "-o", "b.ply", "--box", "-50,-50,-50,-40,-40,-40"], 2, "in any of the regions"),
        (["a.ply", "-o", "b.ply", "--sphere", "0,0,0,-1"], 2, "positive radius"),
        (["a.ply", "-o", "b.ply", "--outside"], 2, "--outside needs"),
        (["a.ply", "-o", "b.ply", "--labels", "keep=1"], 2, "There are no labels"),
        (["a.ply", "-o", "b.ply", "--labels", "1"], 2, "a rule for labels is"),
        (["a.ply", "-o", "b.ply", "--offset-labels", "--labels", "keep=3"], 2, "there are: 1"),
        (
            ["a.ply", "-o", "b.ply", "--transform", "flat.json"],
            3,
            "flat.json (entry 1): the matrix is singular",
        ),
        (["a.ply", "a.ply", "-o", "b.ply", "--transform", "flat.json"], 3, "1 transforms for 2 scenes"),
        (["a.ply", "-o", "b.ply", "--transform", "none.json"], 3, "no such file"),
        (["a.ply", "-o", "b.ply", "--transform", "huge.json"], 5, "not written"),
        (["a.ply", "-o", "b.ply", "--read", "wrong=1"], 2, "--read wrong=1"),
    ],
)
def test_mistakes_are_told_and_write_nothing(tmp_path, monkeypatch, capsys, words, code, message) -> None:
    monkeypatch.chdir(tmp_path)
    save("a.ply", typical_scene(100, 1))
    Path("cut.ply").write_bytes(Path("a.ply").read_bytes()[:-1])
    Path("photo.ply").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    flat = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    Path("flat.json").write_text(json.dumps([{"matrix": flat}]))
    Path("huge.json").write_text(json.dumps({"scale": 1e30}))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["compose", *words]) == code
    assert message in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_colours_are_fitted_to_those_of_the_first_scene(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second scene is moved first; of both only its colours change."""
    whole = replace(
        typical_scene(600, 1), scales=torch.full((600, 3), -1.0), opacities=torch.full((600,), 4.0)
    )
    left = whole.means[:, 0] < 0
    source, target = whole.subset(left), with_cast(whole.subset(~left))
    away = similarity_of({"translation": [50, 0, 0]})
    save(tmp_path / "a.ply", source)
    save(tmp_path / "b.ply", target.transformed(away))
    before = [(tmp_path / name).read_bytes() for name in ("a.ply", "b.ply")]
    scenes = (tmp_path / "a.ply", tmp_path / "b.ply", "-o", tmp_path / "c.ply", "--harmonize")

    assert compose(*scenes) == 2
    complaint = capsys.readouterr().err
    assert "do not touch" in complaint
    assert "--transform" in complaint
    assert not (tmp_path / "c.ply").exists()

    (tmp_path / "t.json").write_text(json.dumps([{}, {"translation": [-50, 0, 0]}]))
    moving = ("--transform", tmp_path / "t.json")
    assert compose(*scenes, *moving) == 0
    assert "harmonized b.ply: red, green and blue times 0." in capsys.readouterr().out
    found = load(tmp_path / "c.ply")
    plain = Gaussians.merge([source, load(tmp_path / "b.ply").transformed(away.inverse())])
    for name in ("means", "quats", "scales", "opacities"):
        assert torch.equal(found.params[name], plain.params[name])
    assert torch.equal(found.sh0[: source.num], source.sh0)
    truth = whole.subset(~left).sh0
    assert (found.sh0[source.num :] - truth).abs().mean() < (target.sh0 - truth).abs().mean() / 2
    assert before == [(tmp_path / name).read_bytes() for name in ("a.ply", "b.ply")]


def test_one_scene_has_nothing_to_fit_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.ply", typical_scene(50, 0))
    assert compose(tmp_path / "a.ply", "--harmonize", "-o", tmp_path / "b.ply") == 2
    assert "--harmonize needs two scenes" in capsys.readouterr().err
