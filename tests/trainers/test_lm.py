"""Runs that Levenberg-Marquardt finishes."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import pytest
import torch
from strategy_runs import GENERAL, GENERAL_PLUGINS
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.densify.mcmc import MCMCConfig
from gsplat_core.densify.registry import configurations
from gsplat_core.second_order.guard import Guard
from gsplat_core.second_order.stochastic import StochasticOptions
from trainers.cli import main
from trainers.config import TrainConfig, from_json
from trainers.history import read_history
from trainers.lm import FullConfig, LevenbergMarquardt, LMConfig
from trainers.views import Target

FULL = LMConfig(method="full", determined=0.0, full=FullConfig(iterations=4, views=5))
STOCHASTIC = LMConfig(length=0.25, determined=0.0)
ON_TRIAL = replace(STOCHASTIC, determined=1e-6, turns=0.0)
METHODS = pytest.mark.parametrize("lm", [FULL, STOCHASTIC, ON_TRIAL], ids=["full", "stochastic", "on trial"])


@pytest.fixture
def with_lm(config: TrainConfig) -> TrainConfig:
    return replace(config, optimizer="lm", lm=FULL)


def test_it_starts_when_density_control_has_ended(config: TrainConfig) -> None:
    assert config.adam_steps == config.last_step == 40
    lm = replace(config, optimizer="lm", lm=replace(FULL, start=0.5))
    assert lm.adam_steps == 35  # refine_stop
    assert lm.last_step == 39
    assert replace(lm, lm=replace(STOCHASTIC, start=0.5)).last_step == 45
    late = replace(lm, lm=replace(lm.lm, start=0.95))
    assert late.adam_steps == 38
    default = TrainConfig(optimizer="lm")
    assert default.adam_steps == 20_000
    assert default.last_step == 26_000
    mcmc = TrainConfig(optimizer="lm", strategy="mcmc")
    assert mcmc.adam_steps == MCMCConfig().refine_stop


def test_every_full_iteration_lowers_the_loss_and_is_logged(with_lm, tmp_path) -> None:
    full = replace(FULL.full, views=100)
    run = Run(replace(with_lm, lm=replace(FULL, full=full)), tmp_path)
    run.fit()
    assert run.trainer.step == with_lm.last_step
    entries = [e for e in read_history(run.folder.history) if "damping" in e]
    assert [e["step"] for e in entries] == [36, 37, 38, 39]
    losses = [e["loss"] for e in entries]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
    assert all(e["gain"] > 0 and e["step_size"] > 0 for e in entries)


def test_the_steps_of_the_stochastic_method_shrink_and_lower_the_loss(config, tmp_path) -> None:
    config = replace(config, optimizer="lm", log_every=1, lm=replace(STOCHASTIC, length=1.0))
    run = Run(config, tmp_path)
    run.fit()
    assert run.trainer.step == config.last_step == 75
    entries = [e for e in read_history(run.folder.history) if "step_size" in e and "loss" in e]
    assert [e["step"] for e in entries] == list(range(36, 76))
    survey, *steps = entries
    assert survey["step_size"] == 0
    sizes = [e["step_size"] for e in steps]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] < 1
    assert sizes[-1] == pytest.approx(1 / 40)
    assert statistics.fmean(e["loss"] for e in steps[-10:]) < survey["loss"]


@METHODS
def test_test_views_are_measured_at_the_switch_and_at_the_end(config, tmp_path, lm) -> None:
    config = replace(config, optimizer="lm", lm=lm)
    run = Run(config, tmp_path, measure=lambda: {"measured": 1.0})
    run.fit()
    steps = [e["step"] for e in read_history(run.folder.history) if "measured" in e]
    assert config.adam_steps in steps
    assert steps[-1] == config.last_step


@METHODS
@pytest.mark.parametrize("stop", [34, 35, 36, 37])
def test_it_can_be_interrupted_anywhere_and_continues_to_the_bit(config, tmp_path, lm, stop) -> None:
    config = replace(config, optimizer="lm", lm=lm, background="random")
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    resumed = interrupted_at(stop, config, tmp_path / "interrupted")
    assert_same_bits(resumed.state(), straight.state())


@pytest.mark.parametrize("strategy", [*GENERAL, *GENERAL_PLUGINS])
def test_it_finishes_every_density_control(config, tmp_path, strategy) -> None:
    densify = {part: c.stretched(1 / 1000) for part, c in configurations(strategy).items()}
    config = replace(config, optimizer="lm", lm=STOCHASTIC, strategy=strategy, densify=densify)
    run = Run(config, tmp_path)
    run.fit()
    assert run.trainer.step == config.last_step
    assert run.state()["lm"]["stochastic"]


def test_the_full_method_finishes_mcmc_too(with_lm, tmp_path) -> None:
    densify = {"mcmc": MCMCConfig(refine_start=5, refine_stop=30, refine_every=5)}
    config = replace(with_lm, strategy="mcmc", densify=densify)
    run = Run(config, tmp_path)
    run.fit()
    assert run.trainer.step == config.last_step
    assert run.trainer.lm.region.damping != FULL.full.damping


def test_half_the_learning_rates_are_half_the_rate(config, tmp_path) -> None:
    """As after a loss that was not finite."""
    config = replace(config, optimizer="lm", lm=STOCHASTIC)
    sizes = []
    for factor in (1.0, 0.5):
        run = Run(config, tmp_path / str(factor))
        targets = [Target.of(view, torch.device("cpu")) for view in run.loop().views]
        trainer = run.trainer
        trainer.step, trainer.lr_factor = config.adam_steps, factor
        trainer.refine(targets)
        sizes.append(trainer.refine(targets[:1]).details["step_size"])
    assert sizes[1] == 0.5 * sizes[0]


def without_lm(state):
    return {name: value for name, value in state.items() if name != "lm"}


HARMFUL = replace(ON_TRIAL, check_every=2, stochastic=StochasticOptions(pace=1e5, together=1))
"""Its steps are undone again and again."""
UNDETERMINED = replace(ON_TRIAL, determined=1e9)
RARE = replace(ON_TRIAL, turns=2.0)


@pytest.mark.parametrize("lm", [UNDETERMINED, RARE, HARMFUL], ids=["undetermined", "rare", "harmful"])
def test_adam_goes_on_as_if_nothing_had_been_between(config, tmp_path, lm) -> None:
    config = replace(config, log_every=1)
    adam = Run(config, tmp_path / "adam", measure=lambda: {"measured": 1.0})
    adam.fit()
    run = Run(replace(config, optimizer="lm", lm=lm), tmp_path / "lm", measure=lambda: {"measured": 1.0})
    run.fit()
    assert run.trainer.step == run.trainer.last_step == config.steps
    assert run.trainer.lm.handed_over
    assert_same_bits(without_lm(run.state()), without_lm(adam.state()))
    entries = read_history(run.folder.history)
    (event,) = [entry for entry in entries if entry.get("event") == "adam"]
    assert event == {"step": 35, "event": "adam", "tried": int(lm is HARMFUL)}
    logged = [entry["step"] for entry in entries if "loss" in entry]
    assert logged == list(range(1, config.steps + 1))
    assert [e["step"] for e in entries if "measured" in e] == [20, 35, 40]
    assert "Adam goes on after step 35" in run.output.getvalue()


@pytest.mark.parametrize("stop", [35, 37, 40])
def test_a_trial_can_be_interrupted(config, tmp_path, stop) -> None:
    """Adam's moments are still there, and nothing of the trial stays in the history."""
    config = replace(config, optimizer="lm", lm=HARMFUL, log_every=1)
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    resumed = interrupted_at(stop, config, tmp_path / "interrupted")
    assert resumed.trainer.lm.handed_over
    assert_same_bits(resumed.state(), straight.state())
    names = ("step", "loss", "event")
    kept = [
        [tuple(entry.get(name) for name in names) for entry in read_history(run.folder.history)]
        for run in (straight, resumed)
    ]
    assert kept[0] == kept[1]


def test_a_trial_that_does_good_stays(config, tmp_path) -> None:
    """And is to the bit what it would have been without being one."""
    config = replace(config, optimizer="lm")
    states = []
    for lm in (STOCHASTIC, ON_TRIAL):
        run = Run(replace(config, lm=replace(lm, length=0.2)), tmp_path / str(lm.determined))
        run.fit()
        assert not run.trainer.lm.handed_over
        assert run.trainer.step == run.config.last_step
        assert not any(run.trainer.adam.state.values())
        states.append(run.state()["gaussians"])
    assert_same_bits(*states)


def test_what_the_photographs_must_determine() -> None:
    def left_to_adam(photographs, numbers, **settings):
        lm = LevenbergMarquardt(LMConfig(determined=2.0, turns=4.0, **settings), 0.2, 0, iterations=20)
        lm.consider(photographs, numbers, parameters=1000)
        return lm.handed_over

    assert not left_to_adam(5, 2000)
    assert left_to_adam(5, 1999)
    assert left_to_adam(6, 2000)
    assert not left_to_adam(6, 2000, method="full")


def test_training_for_a_codec_is_left_to_adam(tiny_scene, tmp_path, capsys) -> None:
    options = ["--optimizer", "lm", "--compress", "scalar"]
    assert main(["train", str(tiny_scene), "-o", str(tmp_path / "run"), *options]) == 2
    message = capsys.readouterr().err
    assert "--optimizer lm" in message
    assert "--compress" in message


def test_settings_survive_json(with_lm) -> None:
    assert from_json(TrainConfig, json.loads(json.dumps(with_lm.to_json()))) == with_lm


@pytest.mark.parametrize("wrong", [{"start": 1.5}, {"length": 0.0}])
def test_settings_out_of_range(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LMConfig(**wrong)


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"views": 0}, {"damping": 0.0}])
def test_settings_of_the_full_method_out_of_range(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FullConfig(**wrong)


@pytest.mark.parametrize(("count", "size"), [(10, 3), (10, 10), (7, 48)])
def test_all_photographs_take_turns(count, size) -> None:
    lm = LevenbergMarquardt(LMConfig(method="full", full=FullConfig(views=size)), 0.2, 3, 100)
    turns = -(-count // size)
    chosen = [number for turn in range(3 * turns) for number in lm.choose(turn, count)]
    assert sorted(chosen) == sorted(3 * list(range(count)))
    assert all(len(lm.choose(turn, count)) <= size for turn in range(turns))
    assert lm.choose(0, count) == lm.choose(0, count)
    assert size >= count or lm.choose(0, count) != lm.choose(1, count)


def test_the_stochastic_method_looks_at_all_photographs_and_then_at_one_after_the_other() -> None:
    lm = LevenbergMarquardt(LMConfig(), 0.2, 3, 100)
    assert lm.choose(0, 5) == [0, 1, 2, 3, 4]
    chosen = [lm.choose(i, 5) for i in range(1, 11)]
    assert all(len(numbers) == 1 for numbers in chosen)
    assert sorted(chosen[:5]) == sorted(chosen[5:]) == [[0], [1], [2], [3], [4]]
    assert chosen[:5] != chosen[5:]


def test_adam_waits_until_something_was_better() -> None:
    lm = LevenbergMarquardt(LMConfig(), 0.2, 0, 300)
    assert lm.on_trial
    lm.stochastic.guard = Guard.of([1.0], {})
    assert lm.on_trial
    lm.stochastic.guard.lowest = 0.99
    assert not lm.on_trial
    assert not LevenbergMarquardt(FULL, 0.2, 0, 300).on_trial
    assert not LevenbergMarquardt(STOCHASTIC, 0.2, 0, 300).on_trial
