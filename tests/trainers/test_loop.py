"""The loop: resuming to the bit, stopping on signals, recovering from a loss that is not finite."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace

import pytest
import torch
from PIL import Image
from training_runs import Run, assert_same_bits, interrupt_at

from gsplat_core.compress.registry import CODECS
from gsplat_core.compress.training import CompressionConfig
from gsplat_core.densify.adc import ADC
from gsplat_core.densify.edits import Prune
from gsplat_core.errors import DataError, NumericalError
from trainers import loop as module
from trainers.checkpoint import checkpoints, newest_checkpoint
from trainers.history import read_history
from trainers.loop import Interrupted
from trainers.presets import with_primitive
from trainers.sources import load_photographs
from trainers.start import initial_gaussians
from trainers.trainer import Trainer
from trainers.views import Target


@pytest.mark.parametrize("background", ["black", "random"])
@pytest.mark.parametrize("stop", [1, 20, 23, 39])
def test_forty_steps_are_the_same_bits_with_an_interruption_in_between(config, tmp_path, stop, background):
    config = replace(config, background=background)
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    initial = initial_gaussians(config, load_photographs(config)).num
    assert straight.trainer.num_gaussians != initial, (
        "density control must have worked for this to mean anything"
    )

    interrupted = Run(config, tmp_path / "interrupted", interrupt_at(stop))
    with pytest.raises(Interrupted):
        interrupted.fit()
    assert interrupted.trainer.step == stop
    resumed = Run(config, tmp_path / "interrupted")
    resumed.fit()
    assert resumed.trainer.step == config.steps
    assert_same_bits(resumed.state(), straight.state())

    def without_time(run):
        return [{k: v for k, v in e.items() if k != "seconds"} for e in read_history(run.folder.history)]

    assert without_time(resumed) == without_time(straight)


def pruning(monkeypatch, share, at=5):
    """Density control that removes this share of the Gaussians at a step, and nothing else."""

    def on_step(self, step, view):
        return [Prune(torch.arange(round(share * view.num)))] if step == at else []

    monkeypatch.setattr(ADC, "on_step", on_step)


def test_a_run_that_loses_most_of_its_gaussians_says_so(config, tmp_path, monkeypatch):
    pruning(monkeypatch, 0.6)
    run = Run(config, tmp_path)
    run.fit()
    assert "warning: step 5 removed 48 of 80 Gaussians" in run.output.getvalue()
    assert {"step": 5, "event": "loss", "before": 80, "after": 32} in read_history(run.folder.history)


def test_ordinary_pruning_is_no_news(config, tmp_path, monkeypatch):
    pruning(monkeypatch, 0.4)
    run = Run(config, tmp_path)
    run.fit()
    assert "removed" not in run.output.getvalue()


def test_a_run_that_loses_all_of_them_fails_and_keeps_its_checkpoint(config, tmp_path, monkeypatch):
    pruning(monkeypatch, 1.0)
    run = Run(config, tmp_path)
    with pytest.raises(NumericalError, match="no Gaussian is left after step 5, where there were 80"):
        run.fit()
    assert newest_checkpoint(run.folder.checkpoints, print).step < 5


@pytest.mark.parametrize("codec", CODECS)
def test_training_for_a_codec_is_resumed_to_the_bit(config, tmp_path, codec):
    config = with_primitive(config, CODECS[codec].primitive)
    config = replace(config, compression=CompressionConfig(codec, start=0.5))
    whole = Run(config, tmp_path / "whole")
    whole.fit()
    interrupted = Run(config, tmp_path / "interrupted", interrupt_at(31))
    with pytest.raises(Interrupted):
        interrupted.fit()
    resumed = Run(config, tmp_path / "interrupted")
    resumed.fit()
    assert_same_bits(resumed.state(), whole.state())


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(config, tmp_path):
    runs = [Run(replace(config, seed=seed), tmp_path / str(i)) for i, seed in enumerate([1, 1, 2])]
    for run in runs:
        run.fit()
    assert_same_bits(runs[0].state(), runs[1].state())
    assert not torch.equal(runs[0].trainer.gaussians.sh0[:20], runs[2].trainer.gaussians.sh0[:20])


def test_training_makes_the_loss_smaller(config, tmp_path):
    run = Run(replace(config, densify={"adc": replace(config.densify["adc"], refine_start=40)}), tmp_path)
    totals = run.fit()
    losses = [entry["loss"] for entry in read_history(run.folder.history) if "loss" in entry]
    assert len(losses) == 8
    assert losses[-1] < 0.7 * losses[0]
    assert totals.train_seconds > 0
    assert totals.cpu_seconds > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_writes_a_checkpoint_of_the_last_step(config, tmp_path, number):
    def after_step(trainer):
        if trainer.step == 7:
            os.kill(os.getpid(), number)

    run = Run(config, tmp_path, after_step)
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="after step 7"):
        run.fit()
    assert newest_checkpoint(run.folder.checkpoints, warn=print).step == 7
    assert signal.getsignal(number) is before


class Poison:
    """Makes the parameters infinite at a step, a number of times."""

    def __init__(self, step, times):
        self.step = step
        self.times = times

    def __call__(self, trainer):
        if trainer.step == self.step and self.times > 0:
            self.times -= 1
            with torch.no_grad():
                trainer.store.params["sh0"][0, 0, 0] = torch.inf


def test_a_loss_that_is_not_finite_is_rolled_back_with_a_lower_learning_rate(config, tmp_path):
    run = Run(replace(config, checkpoint_seconds=0), tmp_path, Poison(step=17, times=2))
    totals = run.fit()
    events = [e for e in read_history(run.folder.history) if e.get("event") == "rollback"]
    assert [e["lr_factor"] for e in events] == [0.5, 0.25]
    assert all(e["failed_step"] == 17 for e in events)
    assert totals.rollbacks == 2
    assert run.trainer.step == config.steps
    assert run.trainer.is_finite([])
    assert [g["lr"] for g in run.trainer.adam.param_groups if g["name"] == "sh0"] == [0.25 * 2.5e-3]


def test_after_three_rollbacks_it_gives_up_and_the_last_good_state_stays(config, tmp_path):
    run = Run(replace(config, checkpoint_seconds=0), tmp_path, Poison(step=17, times=99))
    with pytest.raises(NumericalError, match="not finite at step 17, for the 4th time"):
        run.fit()
    assert [e["lr_factor"] for e in read_history(run.folder.history) if "lr_factor" in e] == [
        0.5,
        0.25,
        0.125,
    ]
    assert newest_checkpoint(run.folder.checkpoints, warn=print).step == 16


def test_checkpoints_come_as_often_as_asked(config, tmp_path):
    run = Run(replace(config, checkpoint_seconds=0, steps=6), tmp_path)
    seen = []
    run.after_step = lambda trainer: seen.append(checkpoints(run.folder.checkpoints)[-1].stem)
    run.fit()
    assert seen == [f"step_{step:08d}" for step in range(6)]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"sh_degree": 1}, {"steps": 50}, {"background": "white"}], ids=str
)
def test_a_checkpoint_of_other_settings_is_refused(config, tmp_path, change):
    with pytest.raises(Interrupted):
        Run(config, tmp_path, interrupt_at(3)).fit()
    with pytest.raises(DataError, match=next(iter(change))):
        Run(replace(config, **change), tmp_path).loop().resume()


def test_a_checkpoint_of_other_photographs_is_refused(config, tmp_path):
    with pytest.raises(Interrupted):
        Run(config, tmp_path, interrupt_at(3)).fit()
    loop = Run(config, tmp_path).loop()
    loop.views = loop.views[1:]
    with pytest.raises(DataError, match="other training views"):
        loop.resume()


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_photographs_may_move_but_not_change(config, tiny_scene, tmp_path, folder):
    scene, moved = tmp_path / "scene", tmp_path / "moved"
    shutil.copytree(tiny_scene, scene)
    (scene / "masks").mkdir()
    for photograph in (scene / "images").iterdir():
        with Image.open(photograph) as image:
            Image.new("L", image.size, 255).save(scene / "masks" / photograph.name)
    with pytest.raises(Interrupted):
        Run(replace(config, data=str(scene)), tmp_path / "run", interrupt_at(3)).fit()
    shutil.copytree(scene, moved)
    assert Run(replace(config, data=str(moved)), tmp_path / "run").loop().resume()
    with Image.open(moved / folder / "003.png") as image:
        retouched = image.copy()
    retouched.putpixel((0, 0), 127)
    retouched.save(moved / folder / "003.png")
    with pytest.raises(DataError, match=r"another photograph or mask 003\.png than .*moved has now"):
        Run(replace(config, data=str(moved)), tmp_path / "run").loop().resume()


def test_progress_on_no_terminal_is_plain_lines(config, tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.progress.PLAIN_SECONDS", 0)
    monkeypatch.setattr(module, "PROGRESS_SECONDS", 0)
    run = Run(config, tmp_path)
    run.fit()
    lines = run.output.getvalue().splitlines()
    assert len(lines) == config.steps
    for word in ("step 40/40", "loss", "PSNR", "Gaussians", "it/s", "GiB", "left"):
        assert word in lines[-1]


def test_the_number_of_threads_does_not_change_a_bit(config):
    """With so many Gaussians that PyTorch's own operators use several threads too."""
    dataset = load_photographs(config)
    few = initial_gaussians(config, dataset)
    many = few.subset(torch.arange(40_007) % few.num)
    many.means.add_(torch.randn(many.means.shape, generator=torch.Generator().manual_seed(0)), alpha=0.1)
    targets = [Target.of(view, torch.device("cpu")) for view in dataset.train]
    states = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        trainer = Trainer(config, many, dataset.scale)
        for step in range(16):  # with a refinement after the 15th
            trainer.advance(targets[step % len(targets)])
        assert trainer.num_gaussians != many.num
        states.append(trainer.state_dict())
    torch.set_num_threads(1)
    for state in states[1:]:
        assert_same_bits(state, states[0])
