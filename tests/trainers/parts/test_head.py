"""The network of `--model sundae` in training: its width is what was asked for, it learns, and a scene that
has one keeps it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from strategy_runs import Run, tensors

from gsplat_core.errors import UsageError
from gsplat_core.models.sundae import NAME, WIDTH, width_of
from trainers.config import TrainConfig
from trainers.parts.head import HeadConfig
from trainers.parts.registry import with_parts


def sundae(config: TrainConfig, width: int | None = None) -> TrainConfig:
    config = replace(config, primitive=NAME)
    return replace(config, parts={**config.parts, "head": HeadConfig(width)})


def test_a_network_of_another_width_is_trained_and_goes_on_to_the_bit(config: TrainConfig) -> None:
    whole, first = Run(sundae(config, 3), "adc"), Run(sundae(config, 3), "adc")
    before = whole.trainer.store.shared["head"].detach().clone()
    assert width_of(len(before)) == 3
    whole.advance(12)
    assert bool((whole.trainer.store.shared["head"] != before).float().mean() > 0.5)
    first.advance(7)
    second = Run(sundae(config, 3), "adc")
    second.trainer.load_state_dict(first.trainer.state_dict())
    second.advance(5)
    ours, theirs = dict(tensors(second.trainer.state_dict())), dict(tensors(whole.trainer.state_dict()))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_scene_without_one_gets_one_and_a_scene_with_one_keeps_it(config: TrainConfig) -> None:
    run = Run(sundae(config), "adc")
    scene = run.trainer.gaussians.detached()
    assert width_of(len(scene.shared["head"])) == WIDTH
    for start, expected in ((scene.with_primitive("gaussian").with_primitive(NAME), WIDTH), (scene, WIDTH)):
        run.trainer._adopt(start)
        assert width_of(len(run.trainer.store.shared["head"])) == expected
    small = Run(sundae(config, 2), "adc").trainer.gaussians.detached()
    run.trainer._adopt(small)
    assert torch.equal(run.trainer.store.shared["head"], small.shared["head"])


def test_it_is_for_its_model_only(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match="is for --model sundae"):
        Run(with_parts(config, ["head"]), "adc")
    with pytest.raises(ValueError, match="width"):
        HeadConfig(0)
