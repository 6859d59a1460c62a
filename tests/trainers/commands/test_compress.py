"""`compress` and `train --compress`: smaller files whose measurements are those of what they decode to."""

from __future__ import annotations

import json

import pytest
import torch

import gsplat_core.io
from gsplat_core.compress.prune import RULES
from gsplat_core.compress.registry import CODECS
from trainers import rate_search
from trainers.cli import main
from trainers.evaluation import evaluate, mean
from trainers.rate_search import Goal, Round
from trainers.run_folder import RunFolder
from trainers.sources import load_photographs, load_scene, run_config

TRAINING = ["--preset", "tiny", "--steps", "30", "--test-every", "4", "--max-gaussians", "200"]


@pytest.fixture(scope="module")
def run(tiny_scene, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["train", str(tiny_scene), "-o", str(folder), *TRAINING]) == 0
    return RunFolder(folder)


def measured(folder: RunFolder) -> float:
    config = run_config(folder.path)
    scene = gsplat_core.io.load(folder.compressed)
    return mean(result.psnr for result in evaluate(scene, load_photographs(config).test))


@pytest.mark.parametrize("codec", CODECS)
def test_a_compressed_run_is_small_and_says_what_was_chosen(run, tmp_path, codec):
    small = RunFolder(tmp_path / codec)
    options = ["--codec", codec, "--max-loss-db", "6", "--steps", "8"]
    assert main(["compress", str(run.path), "-o", str(small.path), *options]) == 0
    outcome = json.loads(small.compression.read_text())
    assert outcome["chosen"] in outcome["tried"]
    assert outcome["chosen"]["size"] == small.compressed.stat().st_size < run.point_cloud.stat().st_size / 4
    fitting = [
        entry["size"] for entry in outcome["tried"] if entry["loss_db"] <= 6 and entry["loss_ssim"] <= 0.1
    ]
    assert outcome["reached"] == bool(fitting)
    if fitting:
        assert outcome["chosen"]["size"] == min(fitting)
    metrics = json.loads(small.metrics.read_text())
    assert metrics["psnr"] == pytest.approx(outcome["chosen"]["psnr"]) == pytest.approx(measured(small))
    assert load_scene(small.path, print).num == outcome["chosen"]["num_gaussians"]
    assert main(["eval", str(small.path)]) == 0
    assert main(["info", str(small.path)]) == 0
    assert main(["export", str(small.path), "-o", str(tmp_path / "scene.ply")]) == 0


def entry(psnr: float, ssim: float, size: int) -> Round:
    """A round from a scene of 30 dB and SSIM 0.9."""
    seconds = {"train_seconds": 0, "encode_seconds": 0, "decode_seconds": 0}
    losses = {"loss_db": 30 - psnr, "loss_ssim": 0.9 - ssim}
    return Round(0.5, 1, 300, 100, size, psnr, ssim, data=b"", **losses, **seconds)


@pytest.mark.parametrize(
    ("goal", "tried", "size", "reached"),
    [
        (Goal(max_loss_db=0.3), [(30.5, 0.901, 90), (31.5, 0.862, 40)], 90, True),
        (Goal(max_loss_db=0.3), [(30.5, 0.896, 90), (30.4, 0.894, 40)], 90, True),
        (Goal(max_loss_db=0.3, max_loss_ssim=0.05), [(30.5, 0.901, 90), (31.5, 0.862, 40)], 40, True),
        (Goal(max_loss_db=0.3), [(31.5, 0.862, 40), (29.6, 0.895, 60)], 60, False),
        (Goal(target_bytes=100), [(31.5, 0.862, 140), (29.9, 0.899, 60)], 60, True),
    ],
)
def test_both_measures_of_quality_are_kept(monkeypatch, goal, tried, size, reached):
    """More training can raise the PSNR while details go, which only the SSIM shows."""
    rounds = iter([entry(*values) for values in tried])

    class Path:
        reference = (30.0, 0.9)

        def __init__(self, *args):
            self.rounds, self.scene = [], None

        def advance(self, *args):
            self.rounds.append(next(rounds))
            return self.rounds[-1]

    monkeypatch.setattr(rate_search, "_Path", Path)
    monkeypatch.setattr(rate_search, "MAX_ROUNDS", len(tried))
    found = rate_search.search(None, None, None, "scalar", goal, 1, lambda entry: None)
    assert (found.chosen.size, found.reached) == (size, reached)


def test_a_size_is_kept(run, tmp_path):
    small = RunFolder(tmp_path / "small")
    options = ["--target-mb", "0.0022", "--steps", "4"]
    assert main(["compress", str(run.path), "-o", str(small.path), *options]) == 0
    assert small.compressed.stat().st_size <= 2200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-loss-db", "0.3", "--target-mb", "1"], "exclude each other"),
        (["--max-loss-ssim", "0.01", "--target-mb", "1"], "exclude each other"),
        (["--max-loss-db", "0"], "must be positive"),
        (["--max-loss-db", "nan"], "must be positive"),
        (["--max-loss-ssim", "-1"], "must be positive"),
        (["--target-mb", "inf"], "must be positive"),
        (["--target-mb", "-1"], "must be positive"),
        (["--steps", "0"], "--steps must be at least 1"),
    ],
)
def test_options_that_make_no_sense(run, tmp_path, capsys, options, message):
    assert main(["compress", str(run.path), "-o", str(tmp_path / "x"), *options]) == 2
    assert message in capsys.readouterr().err


def test_pruning_writes_a_file_from_a_run_or_a_file(run, tmp_path, capsys):
    num = load_scene(run.path, print).num
    for source, told in ((run.path, "test views"), (run.point_cloud, "views of an orbit")):
        file = tmp_path / "new" / "half.spz"
        assert main(["compress", str(source), "-o", str(file), "--prune", "spectral:0.5"]) == 0
        assert gsplat_core.io.load(file).num == round(num / 2)
        assert told in capsys.readouterr().out


@pytest.mark.parametrize("rule", RULES)
def test_pruning_writes_a_run_whose_scene_trained_on(run, tmp_path, rule):
    pruned = RunFolder(tmp_path / rule)
    options = ["--prune", f"{rule}:0.25", "--steps", "3"]
    assert main(["compress", str(run.path), "-o", str(pruned.path), *options]) == 0
    left = load_scene(pruned.path, print)
    assert left.num == round(load_scene(run.path, print).num * 0.75)
    derived = json.loads(pruned.metrics.read_text())["derived"]
    assert (derived["command"], derived["prune"], derived["rate"]) == ("compress", rule, 0.25)
    assert not torch.isin(left.means[:, 0], load_scene(run.path, print).means[:, 0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prune", "spectral"], "RULE:RATE"),
        (["--prune", "spectral:1.5"], "between 0 and 1"),
        (["--prune", "contribution:0.5"], "without photographs"),
        (["--prune", "spectral:0.5", "--steps", "5"], "without photographs"),
        (["--prune", "spectral:0.5", "--codec", "vq"], "leave these out"),
        (["--prune", "spectral:0.5", "--max-loss-db", "1"], "leave these out"),
        ([], "is a file"),
    ],
)
def test_pruning_a_file_that_makes_no_sense(run, tmp_path, capsys, options, message):
    file = str(tmp_path / "x.ply")
    assert main(["compress", str(run.point_cloud), "-o", file, *options]) == 2
    assert message in capsys.readouterr().err
    assert (
        main(["compress", str(run.point_cloud), "-o", str(run.point_cloud), "--prune", "spectral:0.5"]) == 2
    )


def test_neither_the_run_itself_nor_another_one_is_overwritten(run, tmp_path, capsys):
    assert main(["compress", str(run.path), "-o", str(run.path)]) == 2
    other = RunFolder(tmp_path)
    other.config.write_text("{}")
    assert main(["compress", str(run.path), "-o", str(tmp_path)]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("codec", CODECS)
def test_training_for_a_codec_measures_what_is_decoded(tiny_scene, tmp_path, codec):
    folder = RunFolder(tmp_path / "run")
    assert main(["train", str(tiny_scene), "-o", str(folder.path), *TRAINING, "--compress", codec]) == 0
    metrics = json.loads(folder.metrics.read_text())
    assert metrics["psnr"] == pytest.approx(measured(folder))
    decoded, exported = gsplat_core.io.load(folder.compressed), gsplat_core.io.load(folder.point_cloud)
    assert torch.equal(decoded.means, exported.means)
    assert folder.compressed.stat().st_size < folder.point_cloud.stat().st_size / 4
    assert json.loads(folder.config.read_text())["compression"]["codec"] == codec
    other = "vq" if codec != "vq" else "grid"
    resume = ["train", str(tiny_scene), "-o", str(folder.path), "--resume", "--compress", other]
    assert main(resume) == 2
