"""`train --model`: another primitive from photographs to files and measurements, and what has none for it."""

from __future__ import annotations

import json

import pytest
import torch

import gsplat_core.io
from gsplat_core.errors import UsageError
from trainers.cli import main
from trainers.commands.train import TrainOptions, started
from trainers.config import read_config
from trainers.presets import preset, with_primitive
from trainers.run_folder import RunFolder
from trainers.settings import with_settings

SHORT = ["--preset", "tiny", "--steps", "20", "--test-every", "4", "--max-gaussians", "200"]


@pytest.fixture(scope="module")
def run(tiny_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "generalized"
    assert main(["train", str(tiny_scene), "-o", str(folder), "--model", "generalized", *SHORT]) == 0
    return RunFolder(folder)


def test_the_run_has_the_fields_of_its_primitive(run, capsys):
    assert read_config(run.config).primitive == "generalized"
    scene = gsplat_core.io.load(run.point_cloud)
    assert scene.primitive == "generalized"
    beta = scene.schema["beta"].value(scene.further["beta"])
    assert (beta != 2).sum() > 0.5 * scene.num
    assert main(["info", str(run.point_cloud), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["primitive"] == "generalized"
    assert facts["further"] == {
        "beta": {
            "smallest": pytest.approx(beta.min().item()),
            "median": pytest.approx(beta.median().item(), rel=0.01),
            "largest": pytest.approx(beta.max().item()),
        }
    }
    assert main(["info", str(run.point_cloud)]) == 0
    told = capsys.readouterr().out
    assert "generalized" in told
    assert "further: beta" in told
    assert main(["info", str(run.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["primitive"] == "generalized"


def test_it_is_measured_with_its_fields(run, tmp_path):
    """The splat file gives what the run measured; another exponent does not."""
    data = read_config(run.config).data
    trained = json.loads((run.path / "metrics.json").read_text())["psnr"]
    file, measured = tmp_path / "a.ply", tmp_path / "m.json"
    scene = gsplat_core.io.load(run.point_cloud)
    scene.further["beta"].fill_(-3.0)
    gsplat_core.io.save(file, scene)
    psnr = []
    for source in (run.point_cloud, file):
        arguments = ["--data", data, "--test-every", "4", "-o", str(measured)]
        assert main(["eval", str(source), *arguments]) == 0
        psnr.append(json.loads(measured.read_text())["psnr"])
    assert psnr[0] == pytest.approx(trained, abs=1e-4)
    assert abs(psnr[1] - trained) > 0.1


def test_commands_for_plain_gaussians_refuse_it(run, tmp_path, capsys):
    assert main(["export", str(run.path), "-o", str(tmp_path / "a.spz")]) != 0
    assert "'beta' of the primitive 'generalized'" in capsys.readouterr().err
    assert main(["compress", str(run.path), "-o", str(tmp_path / "small")]) == 2
    assert "The codec 'scalar' has no place for 'beta'" in capsys.readouterr().err


def test_a_resumed_run_keeps_its_model(run, capsys):
    data = read_config(run.config).data
    assert main(["train", data, "-o", str(run.path), "--resume", "--model", "gaussian"]) == 2
    assert "was started with --model generalized, not gaussian" in capsys.readouterr().err
    before = gsplat_core.io.load(run.point_cloud).state_dict()
    assert main(["train", data, "-o", str(run.path), "--resume", "--model", "generalized"]) == 0
    after = gsplat_core.io.load(run.point_cloud).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_rates_of_fields_that_are_no_more_go(tmp_path):
    config = with_settings(with_primitive(preset("tiny"), "generalized"), ["learning_rates.further.beta=0.5"])
    assert with_primitive(config, "generalized") == config
    assert with_primitive(config, "gaussian") == preset("tiny")
    with pytest.raises(UsageError, match=r"no primitive is named 'gauss'; there are: .*generalized"):
        with_primitive(config, "gauss")


def test_rates_of_short_runs_rise_with_those_of_the_primitive(tmp_path):
    options = TrainOptions(tmp_path, preset="fast", model="generalized", steps=1750)
    rates = started(RunFolder(tmp_path / "run"), options).learning_rates
    rate = with_primitive(preset("fast"), "generalized").learning_rates.further["beta"]
    assert rates.further["beta"] == pytest.approx(2 * rate)


def test_sparse_model_chooses_among_reconstructions(tiny_scene, tmp_path, capsys):
    assert main(["info", str(tiny_scene), "--json", "--sparse-model", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 12
    assert main(["train", str(tiny_scene), "-o", str(tmp_path / "run"), "--sparse-model", "best"]) == 3
    assert "no model 'best'" in capsys.readouterr().err
