"""Anchors from the command line: trained, measured, looked at, and written as plain Gaussians."""

from __future__ import annotations

import json

import pytest
import torch

import gsplat_core.io
from gsplat_core.apps.segment import gaussian_at, prompts_for
from trainers.appearance import in_appearance
from trainers.cli import main
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, run_config

OPTIONS = ["--preset", "tiny", "--steps", "40", "--test-every", "4", "--device", "cpu"]


@pytest.fixture(scope="module")
def trained(tiny_scene, tmp_path_factory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("scaffold") / "run")
    assert main(["train", str(tiny_scene), "-o", str(run.path), *OPTIONS, "--model", "scaffold"]) == 0
    return run


def test_it_has_its_density_control_and_rates_without_being_told(trained) -> None:
    config = run_config(trained.path)
    assert (config.strategy, config.sh_degree) == ("scaffold", 0)
    assert config.learning_rates.scales == 7e-3
    assert config.learning_rates.further["colors_weights"] == 8e-3


def test_commands_that_draw_know_it(trained, tmp_path, capsys) -> None:
    before = trained.read_metrics()["psnr"]
    for command in ("eval", "info"):
        assert main([command, str(trained.path)]) == 0
    assert "scaffold" in capsys.readouterr().out
    assert trained.read_metrics()["psnr"] == before
    assert main(["clean", str(trained.path), "-o", str(tmp_path / "clean.ply")]) == 0
    assert gsplat_core.io.load(tmp_path / "clean.ply").primitive == "scaffold"


def test_a_click_hits_an_anchor(trained) -> None:
    scene = gsplat_core.io.load(trained.point_cloud)
    view = load_photographs(run_config(trained.path)).train[0]
    hit = gaussian_at(scene, view.camera, view.camera.width / 2, view.camera.height / 2)
    assert hit is not None
    assert hit < scene.num
    assert prompts_for(scene, hit, [view.camera], 0.01)


def test_a_scene_of_gaussians_can_be_gone_on_with_as_anchors(tiny_scene, trained, tmp_path) -> None:
    plain, anchors = tmp_path / "plain.ply", tmp_path / "anchors"
    assert main(["export", str(trained.path), "-o", str(plain), "--bake", "--measure", "no"]) == 0
    words = [str(tiny_scene), "-o", str(anchors), *OPTIONS[:3], "8", *OPTIONS[4:], "--model", "scaffold"]
    assert main(["train", *words, "--start", str(plain)]) == 0
    scene = gsplat_core.io.load(anchors / "point_cloud.ply")
    assert bool(scene.shared["colors_weights"].any())
    assert scene.num <= gsplat_core.io.load(plain).num


def test_photographs_may_have_looks_of_their_own(tiny_scene, tmp_path) -> None:
    run = RunFolder(tmp_path / "run")
    words = [str(tiny_scene), "-o", str(run.path), *OPTIONS[:3], "8", *OPTIONS[4:], "--model", "scaffold"]
    assert main(["train", *words, "--appearance", "embedding"]) == 0
    network = json.loads((run.parts / "embedding.json").read_text())["network"]
    assert list(network) == ["vectors_to_hidden"]
    before = run.read_metrics()["psnr"]
    assert main(["eval", str(run.path)]) == 0
    assert run.read_metrics()["psnr"] == before
    scene = gsplat_core.io.load(run.point_cloud)
    first, second = (in_appearance(run.path, scene, name).shared for name in ("001.png", "002.png"))
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == ["colors_hidden_biases"]


@pytest.mark.parametrize(
    ("words", "tells"),
    [(["--bake"], "the average of 9 cameras"), (["--camera", "001.png"], "as the camera of 001.png sees it")],
)
def test_plain_gaussians_are_written_and_their_loss_is_told(trained, tmp_path, capsys, words, tells) -> None:
    file = tmp_path / "a.spz"
    assert main(["export", str(trained.path), "-o", str(file), *words]) == 0
    assert tells in capsys.readouterr().out
    facts = json.loads((tmp_path / "export.json").read_text())["a.spz"]
    assert tells in facts["baked"]
    assert facts["psnr_before"] == pytest.approx(trained.read_metrics()["psnr"], abs=1e-3)
    assert facts["loss_db"] == facts["psnr_before"] - facts["psnr_after"]
    assert gsplat_core.io.load(file).primitive == "gaussian"
    if "--camera" in words:
        assert facts["psnr_at_camera"] > 30


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["RUN", "-o", "TO/a.sog"], 3, "`gsplat-core export` with --camera or --bake"),
        (["RUN", "-o", "TO/a.ply", "--bake", "--camera", "001.png"], 2, "leave one out"),
        (["RUN", "-o", "TO/a.ply", "--camera", "1.png"], 2, "no such photograph; there is 011.png"),
        (["RUN/point_cloud.ply", "-o", "TO/a.ply", "--bake"], 2, "without photographs; add --scene"),
        (["TO/plain.ply", "-o", "TO/a.ply", "--bake"], 2, "the same from everywhere; leave it out"),
    ],
)
def test_what_cannot_be_written_says_what_can(trained, tmp_path, capsys, words, code, message) -> None:
    scene = gsplat_core.io.load(trained.point_cloud).with_primitive("gaussian")
    gsplat_core.io.save(tmp_path / "plain.ply", scene.subset(torch.arange(3)))
    replaced = [word.replace("RUN", str(trained.path)).replace("TO", str(tmp_path)) for word in words]
    assert main(["export", *replaced]) == code
    assert message in capsys.readouterr().err
