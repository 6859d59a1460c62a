"""A run that was trained with splats of the unscented transform is drawn with them wherever it goes; and
density control sees where Gaussians are missing along rays, too."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

import gsplat_core.io
from gsplat_core.densify.adc import ADCConfig
from gsplat_core.errors import UsageError
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.scale import SceneScale
from trainers.benchmark.scene import training_scene
from trainers.benchmark.step import resting_config
from trainers.cli import main
from trainers.commands.train import TrainOptions, train
from trainers.config import TrainConfig
from trainers.evaluation import evaluate, mean, render
from trainers.primitives import refuse_primitive
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, load_scene, run_config
from trainers.trainer import Trainer


@pytest.fixture(scope="module")
def run(tiny_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "unscented"
    train(
        TrainOptions(tiny_scene, folder, "tiny", steps=12, test_every=4, footprint="unscented", model="ray")
    )
    return RunFolder(folder)


def test_its_configuration_and_its_result_say_so(run):
    assert json.loads(run.config.read_bytes())["footprint"] == "unscented"
    assert run_config(run.path).drawn.unscented
    assert gsplat_core.io.load(run.point_cloud).metadata.unscented


def test_it_is_measured_as_it_was_trained(run):
    scene, views = load_scene(run.path, print), load_photographs(run_config(run.path)).test
    assert scene.metadata.unscented
    measured = run.read_metrics()["psnr"]
    assert mean(view.psnr for view in evaluate(scene, views)) == pytest.approx(measured)
    assert not torch.equal(
        render(scene.with_metadata(unscented=False), views[0].camera), render(scene, views[0].camera)
    )


def test_it_goes_on_only_with_the_same(run, tiny_scene, capsys):
    again = ["train", str(tiny_scene), "-o", str(run.path), "--resume"]
    assert main([*again, "--footprint", "ewa"]) == 2
    assert "was started with --footprint unscented, not ewa" in capsys.readouterr().err
    assert main([*again, "--footprint", "unscented"]) == 0


def test_render_may_draw_it_otherwise(run, tmp_path):
    pictures = {}
    for footprint in ("ewa", "unscented", None):
        folder = tmp_path / str(footprint)
        options = [] if footprint is None else ["--footprint", footprint]
        assert main(["render", str(run.path), "-o", str(folder), "--path", "test", *options]) == 0
        pictures[footprint] = next(iter(sorted(folder.glob("*.png")))).read_bytes()
    assert pictures[None] == pictures["unscented"] != pictures["ewa"]


def test_levenberg_marquardt_refuses_it():
    with pytest.raises(UsageError, match="leave out --footprint unscented"):
        refuse_primitive("gaussian", TrainConfig(optimizer="lm", footprint="unscented"))


@pytest.mark.parametrize("footprint", ["ewa", "unscented"])
def test_density_control_densifies_gaussians_along_rays(footprint):
    """From what their places in the image are told, which are no arguments of their image, and about as many
    as of splats: the thresholds mean the same."""
    plain, target = training_scene(60, 64, 48, 1.5, 0)
    grown = {}
    for primitive, chosen in (("ray", footprint), ("gaussian", "ewa")):
        adc = ADCConfig(
            gradient_threshold=1e-3, refine_start=5, refine_every=10, refine_stop=15, reset_every=10**6
        )
        config = replace(
            resting_config(), primitive=primitive, footprint=chosen, densify={"adc": adc}, steps=40
        )
        trainer = Trainer(config, Gaussians(**plain.params, primitive=primitive), SceneScale.of_extent(1.0))
        for _ in range(14):
            trainer.advance(target)
        grown[primitive] = trainer.num_gaussians - 60
    assert 10 < grown["gaussian"] < 50
    assert grown["ray"] == pytest.approx(grown["gaussian"], rel=0.25)
