"""Runs that Levenberg-Marquardt finishes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from training_runs import Run, assert_same_bits, interrupt_at

from gsplat_core.densify.mcmc import MCMCConfig
from trainers.config import TrainConfig, from_json
from trainers.history import read_history
from trainers.lm import LevenbergMarquardt, LMConfig
from trainers.loop import Interrupted


@pytest.fixture
def with_lm(config: TrainConfig) -> TrainConfig:
    return replace(config, optimizer="lm", lm=LMConfig(iterations=4, views=5))


def test_it_starts_when_density_control_has_ended(config: TrainConfig) -> None:
    assert config.adam_steps == config.last_step == 40
    lm = replace(config, optimizer="lm", lm=LMConfig(start=0.5, iterations=4))
    assert lm.adam_steps == 35  # refine_stop
    assert lm.last_step == 39
    late = replace(lm, lm=replace(lm.lm, start=0.95))
    assert late.adam_steps == 38
    default = TrainConfig(optimizer="lm")
    assert default.adam_steps == 20_000
    mcmc = TrainConfig(optimizer="lm", strategy="mcmc")
    assert mcmc.adam_steps == MCMCConfig().refine_stop


def test_every_iteration_lowers_the_loss_and_is_logged(with_lm, tmp_path) -> None:
    run = Run(replace(with_lm, lm=replace(with_lm.lm, views=100)), tmp_path)
    run.fit()
    assert run.trainer.step == with_lm.last_step
    entries = [e for e in read_history(run.folder.history) if "damping" in e]
    assert [e["step"] for e in entries] == [36, 37, 38, 39]
    losses = [e["loss"] for e in entries]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
    assert all(e["gain"] > 0 and e["step_size"] > 0 for e in entries)


@pytest.mark.parametrize("stop", [34, 35, 37])
def test_it_can_be_interrupted_anywhere_and_continues_to_the_bit(with_lm, tmp_path, stop) -> None:
    config = replace(with_lm, background="random")
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    with pytest.raises(Interrupted):
        Run(config, tmp_path / "interrupted", interrupt_at(stop)).fit()
    resumed = Run(config, tmp_path / "interrupted")
    resumed.fit()
    assert_same_bits(resumed.state(), straight.state())


def test_it_finishes_mcmc_too(with_lm, tmp_path) -> None:
    config = replace(
        with_lm,
        strategy="mcmc",
        densify={"mcmc": MCMCConfig(refine_start=5, refine_stop=30, refine_every=5)},
    )
    run = Run(config, tmp_path)
    run.fit()
    assert run.trainer.step == config.last_step
    assert run.trainer.lm.region.damping != config.lm.damping


def test_settings_survive_json(with_lm) -> None:
    assert from_json(TrainConfig, json.loads(json.dumps(with_lm.to_json()))) == with_lm


@pytest.mark.parametrize("wrong", [{"start": 1.5}, {"iterations": 0}, {"views": 0}, {"damping": 0.0}])
def test_settings_out_of_range(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LMConfig(**wrong)


@pytest.mark.parametrize(("count", "size"), [(10, 3), (10, 10), (7, 48)])
def test_all_photographs_take_turns(count, size) -> None:
    lm = LevenbergMarquardt(LMConfig(views=size), 0.2, seed=3)
    turns = -(-count // size)
    chosen = [number for turn in range(3 * turns) for number in lm.choose(turn, count)]
    assert sorted(chosen) == sorted(3 * list(range(count)))
    assert all(len(lm.choose(turn, count)) <= size for turn in range(turns))
    assert lm.choose(0, count) == lm.choose(0, count)
    assert size >= count or lm.choose(0, count) != lm.choose(1, count)
