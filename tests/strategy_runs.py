"""Training step by step with each density control, with schedules of forty steps."""

from __future__ import annotations

from dataclasses import replace

import torch

from gsplat_core.densify.adc import ADCConfig
from gsplat_core.densify.candidate_pool import CandidatePoolConfig
from gsplat_core.densify.classes import ClassesConfig
from gsplat_core.densify.dash import DashConfig
from gsplat_core.densify.fastgs import FastGSConfig
from gsplat_core.densify.forest import ForestConfig
from gsplat_core.densify.lpm import LPMConfig
from gsplat_core.densify.mcmc import MCMCConfig
from gsplat_core.densify.pruning import PruningConfig
from gsplat_core.densify.registry import PLUGINS, STRATEGIES, parts
from gsplat_core.densify.scaffold import ScaffoldConfig
from gsplat_core.densify.seeding import SeedingConfig
from gsplat_core.densify.spectral import SpectralPruningConfig
from gsplat_core.densify.subgaussians import SubGaussiansConfig
from gsplat_core.densify.taming import TamingConfig
from gsplat_core.densify.turbo import TurboConfig
from gsplat_core.densify.unified import UnifiedConfig
from gsplat_core.scene.view_order import ViewOrder
from trainers.primitives import OWN_STRATEGIES
from trainers.session import rendered_views, resolution
from trainers.settings import with_settings
from trainers.sources import load_photographs
from trainers.start import initial_gaussians
from trainers.trainer import Trainer
from trainers.views import Target

CAP = 130

GENERAL = [name for name in STRATEGIES if name not in OWN_STRATEGIES.values()]
"""Strategies for rows of all primitives that have none of their own."""
GENERAL_PLUGINS = [name for name in PLUGINS if name not in OWN_STRATEGIES.values()]
ALL = [*GENERAL, *GENERAL_PLUGINS, *(f"mcmc+{plugin}" for plugin in GENERAL_PLUGINS)]

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
    "ndg": SubGaussiansConfig(
        main_opacity=0.08,
        refine_start=10,
        refine_stop=35,
        refine_every=5,
        max_gaussians=CAP,
    ),
    "scaffold": ScaffoldConfig(
        gradient_threshold=1e-6,
        coarsest=4,
        count_start=2,
        refine_start=10,
        refine_stop=35,
        refine_every=5,
        max_gaussians=CAP,
    ),
    "unified": UnifiedConfig(
        gradient_threshold=1e-5,
        prune_opacity=0.01,
        refine_start=10,
        refine_stop=35,
        refine_every=5,
        reset_every=25,
        max_gaussians=CAP,
    ),
    "lpm": LPMConfig(
        start=10, stop=35, calibrate_every=10, matcher="depth", error_quantile=0.3, significant=0.5
    ),
    "taming": TamingConfig(start=10, stop=35, views=3),
    "classes": ClassesConfig(),
    "dash": DashConfig(stop=35, every=5),
    "turbo": TurboConfig(start=10, stop=35),
    "candidate-pool": CandidatePoolConfig(max_gaussians=CAP),
    "fastgs": FastGSConfig(views=3, error=0.05, pixels=1.0, prune_every=18, prune_stop=36),
    "forest": ForestConfig(),
    "seeding": SeedingConfig(start=10, stop=35, error=0.02, contrast=1.0, share=0.2),
    "spectral": SpectralPruningConfig(times="intervals", start=12, stop=36, every=12, rate=0.1),
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
