"""trainers/sequence/residuals.py: frames that are what changed since the one before."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from gsplat_core.compress.container import Container
from gsplat_core.errors import UsageError
from gsplat_core.io import load
from gsplat_core.scene.gaussians import Gaussians
from trainers.cli import main
from trainers.config import TrainConfig
from trainers.loop import Interrupted
from trainers.observer import Observer
from trainers.sequence.frames import Frames
from trainers.sequence.overrides import Overrides
from trainers.sequence.residuals import Residuals, ResidualsConfig
from trainers.sequence.sequence import train_sequence
from trainers.sequence.settings import FrameConfig
from trainers.sources import load_scene

NAMES = ("t1", "t2", "t10")
GROWING = (
    "residual.additions.gradient_threshold=1e-9", "residual.additions.start=0",
    "residual.additions.every=1", "residual.additions.most=0.5",
)  # fmt: skip


def run(frames: Path, output: Path, config: TrainConfig, **options):
    first = replace(config, data="", steps=6, evaluations=0, log_every=5)
    pieces = [Residuals(ResidualsConfig(), first), Overrides(GROWING)]
    settings = FrameConfig(motion_steps=0, steps=14)
    console = Console(file=StringIO(), width=200)
    return train_sequence(Frames.find(frames), output, first, settings, console, pieces, **options)


@pytest.fixture(scope="module")
def trained(frames, tmp_path_factory):
    output = tmp_path_factory.mktemp("stream") / "out"
    config = TrainConfig(
        data="", steps=6, device="cpu", test_every=4, sh_degree=1, sh_degree_every=4, background="black",
        sky="never", gaps="never", checkpoint_seconds=1e9,
    ).with_shared(max_gaussians=150)  # fmt: skip
    return output, config, run(frames, output, config)


def file_of(output: Path, name: str) -> Path:
    return output / name / "point_cloud.gsz"


def header(file: Path) -> dict[str, object]:
    return Container.from_bytes(file.read_bytes(), file).header


def assert_same(one: Gaussians, other: Gaussians) -> None:
    assert all(torch.equal(one.params[name], other.params[name]) for name in one.params)


def test_frames_are_one_file_each_which_follow_the_one_before(trained) -> None:
    output, _, metrics = trained
    headers = [header(file_of(output, name)) for name in NAMES]
    assert [entry["codec"] for entry in headers] == ["scalar", "residual", "residual"]
    assert [entry.get("after_key", 0) for entry in headers] == [0, 1, 2]
    assert headers[2]["before"] == "../t2/point_cloud.gsz"
    assert not list(output.rglob("*.ply"))
    for name, entry in zip(NAMES, metrics["frames"], strict=True):
        scene = load(file_of(output, name))
        assert_same(load_scene(output / name, print), scene)
        assert entry["num_gaussians"] == scene.num
    assert int(headers[1]["count"]) > 0  # what was added comes along
    assert headers[2]["rows"] == metrics["frames"][1]["num_gaussians"]


def test_what_is_measured_is_what_the_file_decodes_to(trained, frames, tmp_path) -> None:
    output, _, metrics = trained
    copy = tmp_path / "copy"
    shutil.copytree(output, copy)
    assert main(["eval", str(copy / "t10")]) == 0
    assert json.loads((copy / "t10" / "metrics.json").read_text())["psnr"] == metrics["frames"][2]["psnr"]


class Interrupting(Observer):
    def passed(self, trainer, loss, quality):
        if trainer.step == 12:  # something was added before
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_sequence_goes_on_to_the_bit(trained, frames, tmp_path) -> None:
    whole, config, _ = trained
    output = tmp_path / "out"
    shutil.copytree(whole, output, ignore=shutil.ignore_patterns("t2", "t10"))
    with pytest.raises(Interrupted):
        run(frames, output, config, resume=True, observers=lambda: (Interrupting(),))
    assert (output / "t2" / "checkpoints").exists()
    run(frames, output, config, resume=True)
    for name in NAMES:
        assert file_of(output, name).read_bytes() == file_of(whole, name).read_bytes()


def test_other_primitives_are_refused(config) -> None:
    with pytest.raises(UsageError, match="leave out --residual"):
        Residuals(ResidualsConfig(), replace(config, primitive="flat"))


def test_the_commands(frames, tmp_path, capsys) -> None:
    output, options = tmp_path / "out", ["--preset", "tiny", "--steps", "4", "--max-gaussians", "100"]
    stream = ["stream", str(frames), "-o", str(output), "--residual", *options]
    assert main([*stream, "--frame-steps", "2", "--key-every", "2"]) == 0
    capsys.readouterr()
    assert main(["info", str(output), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    sizes = [file_of(output, name).stat().st_size for name in NAMES]
    assert (facts["kind"], facts["key_every"], facts["bytes_of_frames"]) == ("sequence", 2, sizes)
    assert (
        main(["export", str(output), "--frame", "1", "-o", str(tmp_path / "a.ply"), "--measure", "no"]) == 0
    )
    assert_same(load(tmp_path / "a.ply"), load(file_of(output, "t2")))
    codecs = [header(file_of(output, name))["codec"] for name in NAMES]
    assert codecs == ["scalar", "residual", "scalar"]
    whole = load(file_of(output, "t10"))
    shutil.copytree(output / "t10", tmp_path / "alone" / "t10")
    assert_same(load(file_of(tmp_path / "alone", "t10")), whole)  # a key frame needs no other
    pictures = tmp_path / "pictures"
    assert main(["render", str(output), "--frame", "-2", "--path", "test", "-o", str(pictures)]) == 0
    assert len(list(pictures.iterdir())) == 2
    for wrong, told in (
        (["--motion-steps", "1"], "--motion-steps: frames of --residual have none"),
        (["--frame-strategy", "adc"], "--frame-strategy: frames of --residual have none"),
        (["--frame-steps", "0"], "--frame-steps 0"),
        (["--key-every", "0"], "at least 1"),
    ):
        assert main([*stream, *wrong]) != 0
        assert told in " ".join(capsys.readouterr().err.split())
