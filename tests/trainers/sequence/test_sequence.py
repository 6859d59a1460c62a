"""trainers/sequence/sequence.py: frame after frame, each from the one before it."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from gsplat_core.errors import DataError, UsageError
from gsplat_core.io import load
from gsplat_core.sequence.motion_field import MotionFieldConfig
from trainers.cli import main
from trainers.config import TrainConfig, read_config
from trainers.loop import Interrupted
from trainers.observer import Observer
from trainers.sequence.frames import Frames
from trainers.sequence.motion import MOVED, Motion
from trainers.sequence.pieces import Frame, Piece
from trainers.sequence.sequence import frame_of, train_sequence
from trainers.sequence.settings import FrameConfig

NAMES = ("t1", "t2", "t10")
FIELD = MotionFieldConfig(levels=2, features=2, table=64, coarsest=4, width=8)
SETTINGS = FrameConfig(motion_steps=3, steps=6, field=FIELD)


class Recorder(Piece):
    """As a codec would: it knows what a frame starts with, and has its say when the frame is finished."""

    def __init__(self):
        self.heard = []

    def prepared(self, frame: Frame, config: TrainConfig) -> TrainConfig:
        start = None if config.start is None else Path(config.start).name
        self.heard.append((frame.number, frame.name, start))
        return replace(config, lambda_dssim=0.1)

    def finished(self, frame: Frame) -> None:
        self.heard.append((frame.name, frame.run.metrics.exists()))


def run(frames, output, config, settings=SETTINGS, pieces=(), **options):
    console = Console(file=StringIO(), width=200)
    first = replace(config, data="", steps=12, evaluations=0, log_every=5)
    pieces = [Motion(settings), *pieces]
    return train_sequence(Frames.find(frames), output, first, settings, console, pieces, **options)


@pytest.fixture(scope="module")
def trained(frames, tmp_path_factory, tiny_scene):
    """A finished sequence, and what a piece heard of it."""
    recorder, output = Recorder(), tmp_path_factory.mktemp("stream") / "out"
    config = TrainConfig(
        data="", steps=12, device="cpu", test_every=4, sh_degree=1, sh_degree_every=4, background="black",
        sky="never", gaps="never", checkpoint_seconds=1e9,
    )  # fmt: skip
    metrics = run(frames, output, config, pieces=[recorder])
    return output, config, metrics, recorder.heard


def test_every_frame_is_a_run_that_starts_with_the_one_before(trained, frames) -> None:
    output, _, metrics, heard = trained
    assert [entry["name"] for entry in metrics["frames"]] == list(NAMES)
    assert json.loads((output / "metrics.json").read_text()) == metrics
    assert (output / "report.html").stat().st_size > 1000
    assert heard == [
        (0, "t1", None), ("t1", True), (1, "t2", MOVED), ("t2", True), (2, "t10", MOVED), ("t10", True)
    ]  # fmt: skip
    for number, name in enumerate(NAMES):
        config = read_config(output / name / "config.json")
        assert config.images == name
        assert (config.steps, config.lambda_dssim) == ((12, 6)[number > 0], 0.1)
        assert not (output / name / "checkpoints").exists()
        assert metrics["frames"][number]["steps"] == config.steps
    before, moved, after = (
        load(output / path) for path in ("t1/point_cloud.ply", f"t2/{MOVED}", "t2/point_cloud.ply")
    )
    assert not torch.equal(moved.means, before.means)
    assert torch.equal(moved.scales, before.scales)
    assert not torch.equal(after.sh0, before.sh0)


def test_what_is_finished_stays_and_other_settings_are_refused(trained, frames) -> None:
    output, config, metrics, _ = trained
    times = {path: path.stat().st_mtime_ns for path in output.rglob("point_cloud.ply")}
    with pytest.raises(UsageError, match="already holds a sequence"):
        run(frames, output, config)
    with pytest.raises(UsageError, match="was started with other settings"):
        run(frames, output, config, replace(SETTINGS, steps=7), resume=True)
    assert run(frames, output, config, pieces=[Recorder()], resume=True) == metrics
    assert {path: path.stat().st_mtime_ns for path in output.rglob("point_cloud.ply")} == times


class Interrupting(Observer):
    def __init__(self, step):
        self.step = step

    def passed(self, trainer, loss, quality):
        if trainer.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupted_sequence_goes_on_to_the_bit(trained, frames, tmp_path) -> None:
    whole, config, metrics, _ = trained
    watched = iter([(), (Interrupting(5),), ()])
    with pytest.raises(Interrupted):
        run(frames, tmp_path / "out", config, pieces=[Recorder()], observers=lambda: next(watched))
    assert not (tmp_path / "out" / "t2" / "metrics.json").exists()
    found = run(frames, tmp_path / "out", config, pieces=[Recorder()], resume=True)
    assert found["psnr"] == metrics["psnr"]
    for name in NAMES:
        ours, theirs = (
            (folder / name / "point_cloud.ply").read_bytes() for folder in (tmp_path / "out", whole)
        )
        assert ours == theirs


def test_without_a_budget_a_frame_is_the_one_before(trained, frames, tmp_path) -> None:
    _, config, _, _ = trained
    nothing = FrameConfig(motion_steps=0, steps=0)
    metrics = run(frames, tmp_path / "out", config, nothing)
    first, *others = ((tmp_path / "out" / name / "point_cloud.ply").read_bytes() for name in NAMES)
    assert all(other == first for other in others)
    assert [entry["steps"] for entry in metrics["frames"]] == [12, 0, 0]
    assert metrics["frames"][0]["psnr"] > metrics["frames"][2]["psnr"]


def test_frames_are_found_by_their_number(trained, tmp_path) -> None:
    output = trained[0]
    assert [frame_of(output, number).name for number in (0, 2, -1)] == ["t1", "t10", "t10"]
    with pytest.raises(UsageError, match="--frame must be from 0 to 2, not 3"):
        frame_of(output, 3)
    with pytest.raises(DataError, match=r"no sequence: it has no stream\.json"):
        frame_of(tmp_path, 0)
    (tmp_path / "stream.json").write_text('{"frames": 3}')
    with pytest.raises(DataError, match="does not name the frames"):
        frame_of(tmp_path, 0)


def test_settings_of_later_frames(config) -> None:
    first = replace(config, primitive="flat", steps=2000).with_shared(max_gaussians=77)
    later = FrameConfig().of_frame(first)
    assert later.max_gaussians == 77
    unified = later.densify["unified"]
    numbers = (unified.refine_start, unified.refine_stop, unified.refine_every, unified.reset_every)
    assert (later.steps, later.sh_degree_every, numbers) == (800, 0, (30, 400, 30, 205))
    assert "crisp" in later.parts
    short = FrameConfig(steps=100).of_frame(first).densify["unified"]
    assert (short.refine_start, short.refine_stop, short.refine_every, short.reset_every) == (30, 50, 30, 205)
    with pytest.raises(UsageError, match="--optimizer lm"):
        FrameConfig().of_frame(replace(config, optimizer="lm"))


def test_the_command(frames, tmp_path, capsys) -> None:
    output = tmp_path / "out"
    steps = ["--preset", "tiny", "--steps", "4", "--frame-steps", "2", "--motion-steps", "1"]
    steps += ["--frame-set", "lambda_dssim=0.5"]
    assert main(["stream", str(frames), "-o", str(output), *steps, "--max-gaussians", "100"]) == 0
    dssim = [read_config(output / name / "config.json").lambda_dssim for name in NAMES]
    assert dssim == [0.2, 0.5, 0.5]
    assert "3 frames" in capsys.readouterr().out
    pictures = tmp_path / "pictures"
    arguments = ["--path", "test", "--frame", "1", "-o", str(pictures)]
    assert main(["render", str(output), *arguments]) == 0
    assert len(list(pictures.iterdir())) == 2
    assert main(["render", str(output)]) != 0
    assert "this is a sequence" in capsys.readouterr().err
    assert main(["stream", str(frames), "-o", str(output), "--masks", "none"]) != 0
    assert "--masks: those of each frame lie in its folder" in capsys.readouterr().err
