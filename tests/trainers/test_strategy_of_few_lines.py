"""A density control of few lines, without cap, seed or schedule of growth, trains like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.densify.edits import Edit, Prune
from gsplat_core.densify.registry import STRATEGIES, with_shared
from gsplat_core.densify.rows import indices
from gsplat_core.densify.strategy import SceneView, Strategy
from trainers.cli import main
from trainers.config import read_config
from trainers.lm import LMConfig
from trainers.presets import preset, with_strategy
from trainers.run_folder import RunFolder


@dataclass(frozen=True)
class RandomPruneConfig:
    every: int = 3000
    share: float = 0.1

    def stretched(self, factor: float) -> RandomPruneConfig:
        return replace(self, every=max(round(self.every * factor), 1))


class RandomPrune(Strategy):
    def __init__(self, config: RandomPruneConfig) -> None:
        super().__init__()
        self.config = config

    def on_step(self, step: int, view: SceneView) -> list[Edit]:
        if step % self.config.every:
            return []
        drawn = torch.rand(view.num, generator=self.random) < self.config.share
        return [Prune(indices(drawn).to(view.params["means"].device))]


@pytest.fixture
def registered(monkeypatch) -> None:
    monkeypatch.setitem(STRATEGIES, "random", (RandomPruneConfig, RandomPrune))


def test_the_command_line_trains_with_it(registered, tiny_scene, tmp_path, capsys) -> None:
    run = RunFolder(tmp_path / "run")
    train = ["train", str(tiny_scene), "-o", str(run.path), "--steps", "20", "--device", "cpu"]
    assert main([*train, "--strategy", "random", "--max-gaussians", "50"]) == 2
    assert "--max-gaussians: the density control 'random' has no such limit." in capsys.readouterr().err
    assert main([*train, "--strategy", "random", "--seed", "4", "--set", "random.share=0.3"]) == 0
    assert 0 < run.read_metrics()["num_gaussians"] < 80
    config = read_config(run.config)
    assert config.densify["random"] == RandomPruneConfig(every=2, share=0.3)
    assert config.max_gaussians is None
    assert main([*train, "--resume"]) == 0


def test_it_goes_on_to_the_bit(registered, config, tmp_path) -> None:
    config = replace(config, strategy="random", densify={"random": RandomPruneConfig(every=4)})
    straight = Run(config, tmp_path / "straight")
    straight.fit()
    resumed = interrupted_at(21, config, tmp_path / "interrupted")
    assert resumed.trainer.num_gaussians < 80
    assert_same_bits(resumed.state(), straight.state())


def test_levenberg_marquardt_may_finish_it_at_any_time(registered, config) -> None:
    config = replace(config, strategy="random", densify={}, optimizer="lm", lm=LMConfig(start=0.25))
    assert config.adam_steps == 10


def test_what_concerns_the_whole_run_is_told_to_those_who_have_a_place_for_it(registered) -> None:
    config = RandomPruneConfig(share=0.2)
    assert with_shared(config, seed=3, max_gaussians=7, white_background=True, scale="published") == config
    adc = with_shared(preset("tiny").densify["adc"], seed=3, max_gaussians=7)
    assert (adc.seed, adc.max_gaussians) == (3, 7)
    with pytest.raises(ValueError, match="'share' does not concern a whole run"):
        with_shared(config, share=0.5)
    assert with_strategy(preset("published"), "random").scale_rule == "seen"
    assert with_strategy(preset("published"), "mcmc").scale_rule == "published"
