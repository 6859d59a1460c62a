"""A run that was trained antialiased is drawn so wherever it goes."""

from __future__ import annotations

import pytest
import torch

import gsplat_core.io
from gsplat_core.metrics import psnr
from trainers.checkpoint import read_checkpoint
from trainers.cli import main
from trainers.evaluation import evaluate, mean, render
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, load_scene, run_config


@pytest.fixture(scope="module")
def run(tiny_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "antialiased"
    arguments = ["--preset", "tiny", "--steps", "30", "--test-every", "4", "--set", "antialiased=true"]
    assert main(["train", str(tiny_scene), "-o", str(folder), *arguments]) == 0
    return RunFolder(folder)


def test_the_result_and_the_checkpoints_say_so(run):
    assert gsplat_core.io.load(run.point_cloud).metadata.antialiased
    state = read_checkpoint(sorted(run.checkpoints.glob("*.json"))[-1]).state["trainer"]["gaussians"]
    assert bool(state["metadata.antialiased"])


@pytest.mark.parametrize("name", ["a.ply", "a.compressed.ply", "a.spz", "a.sog", "a.glb", "a.gsz"])
def test_an_exported_file_is_drawn_like_the_run(run, tmp_path, name):
    assert main(["export", str(run.path), "-o", str(tmp_path / name), "--measure", "no"]) == 0
    scene = gsplat_core.io.load(tmp_path / name)
    assert scene.metadata.antialiased
    camera = load_photographs(run_config(run.path)).test[0].camera
    as_trained = render(load_scene(run.path, print), camera)
    assert psnr(render(scene, camera), as_trained) > 30
    assert not torch.equal(render(scene.with_metadata(antialiased=False), camera), render(scene, camera))


def test_its_measurements_are_those_of_antialiased_images(run):
    dataset, scene = load_photographs(run_config(run.path)), load_scene(run.path, print)
    measured = run.read_metrics()["psnr"]
    assert mean(view.psnr for view in evaluate(scene, dataset.test)) == pytest.approx(measured)
    classic = evaluate(scene.with_metadata(antialiased=False), dataset.test)
    assert mean(view.psnr for view in classic) != pytest.approx(measured, abs=1e-3)


def test_a_compressed_run_is_measured_as_one(run, tmp_path):
    small = RunFolder(tmp_path / "small")
    arguments = ["--max-loss-db", "9", "--steps", "4", "--codec", "vq"]
    assert main(["compress", str(run.path), "-o", str(small.path), *arguments]) == 0
    scene, dataset = gsplat_core.io.load(small.compressed), load_photographs(run_config(run.path))
    assert scene.metadata.antialiased
    measured = small.read_metrics()["psnr"]
    assert mean(view.psnr for view in evaluate(scene, dataset.test)) == pytest.approx(measured)


def test_a_file_that_does_not_say_so_can_be_told(run, tiny_scene, tmp_path, capsys):
    silent = gsplat_core.io.load(run.point_cloud).with_metadata(antialiased=False)
    gsplat_core.io.save(tmp_path / "a.ply", silent)
    arguments = ["eval", str(tmp_path / "a.ply"), "--data", str(tiny_scene), "--test-every", "4"]
    shown = []
    for option in ([], ["--read", "antialiased=true"]):
        assert main([*arguments, *option]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] != shown[1]
    assert f"{run.read_metrics()['psnr']:.2f} dB" in shown[1].splitlines()[-1]
    assert main([*arguments, "--read", "antialiased=perhaps"]) == 2
    assert "true|false" in capsys.readouterr().err


def test_a_format_without_a_place_for_it_costs_what_it_costs(run, tmp_path, capsys):
    with pytest.warns(UserWarning, match="to be drawn antialiased"):
        assert main(["export", str(run.path), "-o", str(tmp_path / "a.splat")]) == 0
    assert not gsplat_core.io.load(tmp_path / "a.splat").metadata.antialiased


def test_results_of_older_versions_are_known_by_their_configuration(run, tmp_path):
    old = RunFolder(tmp_path)
    old.config.write_bytes(run.config.read_bytes())
    scene = gsplat_core.io.load(run.point_cloud)
    gsplat_core.io.save(old.point_cloud, scene.with_metadata(antialiased=False))
    assert load_scene(tmp_path, print).metadata.antialiased
