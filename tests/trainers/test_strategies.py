"""Every density control in the trainer: it runs, stays finite and within its cap, and goes on to the bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from strategy_runs import ALL, CAP, Run, tensors

from gsplat_core.errors import UsageError
from trainers.parts.density import Density
from trainers.presets import with_primitive
from trainers.primitives import OWN_STRATEGIES
from trainers.resolution import ResolutionConfig
from trainers.views import Target


@pytest.mark.parametrize("strategy", [*ALL, "adc+turbo+lpm+pruning"])
def test_it_grows_within_its_cap_stays_finite_and_goes_on_to_the_bit(config, strategy):
    grows_and_goes_on(config, strategy)


@pytest.mark.parametrize(
    ("primitive", "strategy"),
    [*OWN_STRATEGIES.items(), ("forest", "adc+forest+pruning"), ("forest", "mcmc+forest")],
)
def test_so_does_one_that_knows_the_rows_of_a_primitive(config, primitive, strategy):
    grows_and_goes_on(with_primitive(config, primitive), strategy)


@pytest.mark.parametrize(("primitive", "strategy"), OWN_STRATEGIES.items())
def test_strategies_and_rows_that_do_not_know_each_other_are_refused(config, primitive, strategy):
    with pytest.raises(UsageError, match=rf"'adc' does not know the rows.*use --strategy {strategy}"):
        Run(replace(config, primitive=primitive), "adc")
    with pytest.raises(UsageError, match=rf"'{strategy}' knows rows of .*add --model {primitive}"):
        Run(config, strategy)


@pytest.mark.parametrize("threshold", ["top:0.1", "ema:1.5"])
def test_so_it_does_with_a_threshold_that_follows_from_gradients(config, threshold):
    grows_and_goes_on(config, "adc+lpm", [f"adc.threshold={threshold}"])


def grows_and_goes_on(config, strategy, settings=()):
    whole, first = Run(config, strategy, settings), Run(config, strategy, settings)
    start = whole.trainer.num_gaussians
    whole.advance(40)
    assert start < whole.trainer.num_gaussians <= CAP
    assert all(bool(p.isfinite().all()) for p in whole.trainer.store.params.values())

    first.advance(22)
    state = first.trainer.state_dict()
    second = Run(config, strategy, settings)
    second.trainer.load_state_dict(state)
    second.advance(18)
    ours, theirs = dict(tensors(second.trainer.state_dict())), dict(tensors(whole.trainer.state_dict()))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def test_pixel_weighted_adc_gets_its_statistics(config):
    run = Run(config, "adc", ["adc.pixel_weighted=true", "adc.absgrad=true"])
    run.advance(22)
    assert run.trainer.num_gaussians > 80


def test_mcmc_starts_opaque_small_and_at_random_places_if_asked(config):
    points = Run(config, "adc").trainer.gaussians
    start = Run(config, "mcmc").trainer.gaussians
    assert torch.allclose(start.opacities, torch.zeros(80))
    assert torch.allclose(start.scales, points.scales + torch.tensor(0.1).log())
    anywhere = Run(replace(config, initialization="random", random_points=33), "mcmc").trainer.gaussians
    assert anywhere.num == 33
    assert not torch.isin(anywhere.means, points.means).any()


def test_small_images_first(config):
    config = replace(config, resolution=ResolutionConfig(until=30, every=5, largest=4.0, shortest=9))
    run = Run(config, "adc+dash")
    sizes = []
    for step in range(1, 41):
        target = Target.of(run.views[0], run.trainer.device, 0)
        sizes.append(target.shrunk(run.factor_at(step)).width)
    assert sizes == sorted(sizes)
    assert sizes[0] < run.views[0].camera.width == sizes[-1]
    run.advance(40)
    assert run.trainer.num_gaussians > 80


def test_they_are_told_the_gradient_of_log_scales(config, monkeypatch):
    run = Run(replace(config, reorder_every=0), "unified")
    trainer = run.trainer
    told = []
    strategy = trainer.parts.find(Density).strategy
    monkeypatch.setattr(strategy, "on_backward", lambda step, stats: told.append(stats.scales_grad.clone()))
    run.advance(1)
    first_moment = trainer.adam.state[trainer.store.params["scales"]]["exp_avg"]
    torch.testing.assert_close(0.1 * told[0], first_moment)
    assert bool(first_moment.any())
