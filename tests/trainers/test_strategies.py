"""Every density control in the trainer: it runs, stays finite and within its cap, and goes on to the bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gsplat_core.densify.adc import ADCConfig
from gsplat_core.densify.dash import DashConfig
from gsplat_core.densify.lpm import LPMConfig
from gsplat_core.densify.mcmc import MCMCConfig
from gsplat_core.densify.pruning import PruningConfig
from gsplat_core.densify.registry import PLUGINS, STRATEGIES, parts
from gsplat_core.densify.seeding import SeedingConfig
from gsplat_core.densify.taming import TamingConfig
from gsplat_core.densify.turbo import TurboConfig
from trainers.resolution import ResolutionConfig
from trainers.session import rendered_views, resolution
from trainers.settings import with_settings
from trainers.sources import load_photographs
from trainers.start import initial_gaussians
from trainers.trainer import Trainer
from trainers.views import Target, ViewOrder

CAP = 130

PARTS = {
    "adc": ADCConfig(
        gradient_threshold=1e-5,
        refine_start=10,
        refine_stop=35,
        refine_every=5,
        reset_every=35,
        max_gaussians=CAP,
    ),
    "mcmc": MCMCConfig(refine_start=10, refine_stop=35, refine_every=5, growth=1.2, max_gaussians=CAP),
    "lpm": LPMConfig(
        start=10, stop=35, calibrate_every=10, matcher="depth", error_quantile=0.3, significant=0.5
    ),
    "taming": TamingConfig(start=10, stop=35, views=3),
    "dash": DashConfig(stop=35, every=5),
    "turbo": TurboConfig(start=10, stop=35),
    "seeding": SeedingConfig(start=10, stop=35, error=0.02, contrast=1.0, share=0.2),
    "pruning": PruningConfig(start=12, stop=36, every=12, share=0.01, most=0.1),
}


class Run:
    def __init__(self, config, strategy, settings=()):
        densify = {part: PARTS[part] for part in parts(strategy)}
        config = replace(config, strategy=strategy, densify=densify)
        self.config = with_settings(config, settings)
        dataset = load_photographs(self.config)
        self.views = dataset.train
        self.factor_at = resolution(self.config, dataset)
        self.order = ViewOrder(len(self.views), 0)
        self.trainer = self.new_trainer()

    def new_trainer(self):
        dataset = load_photographs(self.config)
        gaussians = initial_gaussians(self.config, dataset)
        views = rendered_views(self.config, dataset)
        return Trainer(self.config, gaussians, dataset.scale, views)

    def advance(self, steps):
        for _ in range(steps):
            step = self.trainer.step + 1
            number = self.order(step)
            target = Target.of(self.views[number], self.trainer.device, number)
            self.trainer.advance(target.shrunk(self.factor_at(step)))


def tensors(tree, name=""):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from tensors(value, f"{name}/{key}")
    else:
        yield name, torch.as_tensor(tree)


@pytest.mark.parametrize(
    "strategy", [*STRATEGIES, *PLUGINS, *(f"mcmc+{plugin}" for plugin in PLUGINS), "adc+turbo+lpm+pruning"]
)
def test_it_grows_within_its_cap_stays_finite_and_goes_on_to_the_bit(config, strategy):
    whole, first = Run(config, strategy), Run(config, strategy)
    start = whole.trainer.num_gaussians
    whole.advance(40)
    assert start < whole.trainer.num_gaussians <= CAP
    assert all(bool(p.isfinite().all()) for p in whole.trainer.store.params.values())

    first.advance(22)
    state = first.trainer.state_dict()
    second = Run(config, strategy)
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
