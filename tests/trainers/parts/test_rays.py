"""What trainings of densities do besides: when lobes come, how narrow Gaussians may be, and who goes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.errors import UsageError
from gsplat_core.models.raygauss import LOBE_FIELDS, LOBES
from gsplat_core.render.sampling import finest_rates
from gsplat_core.render.volume import least_density
from trainers.config import TrainConfig
from trainers.parts.rays import Rays, RaysConfig


def rays(config: TrainConfig, **settings: float) -> TrainConfig:
    parts = {"rays": RaysConfig(**settings)}
    return replace(config, primitive="raygauss", ray_step=0.05, reorder_every=0, parts=parts)


def test_lobes_come_one_by_one(config: TrainConfig) -> None:
    published = Rays(RaysConfig(lobes_from=0.1, lobes_every=1 / 30), rays(replace(config, steps=30_000)), ())
    counts = [published.lobes_at(step) for step in range(1, 30_001)]
    assert [counts.index(n + 1) + 1 for n in range(LOBES)] == [3001 + 1000 * n for n in range(LOBES)]
    at_once = Rays(RaysConfig(lobes_from=0.0, lobes_every=0.0), rays(config), ())
    assert at_once.lobes_at(1) == LOBES


def test_lobes_that_have_not_come_are_neither_seen_nor_trained(config: TrainConfig, tmp_path) -> None:
    start = {}
    used = []

    def after_step(trainer) -> None:
        params = trainer.store.params
        if not start:
            start.update({name: params[name].detach().clone() for name in LOBE_FIELDS})
        rows = len(start["lobe_axes"])
        used.append([bool((params["lobe_colors"][:rows, lobe] != 0).any()) for lobe in range(LOBES)])

    adc = replace(config.densify["adc"], refine_start=99)
    given = replace(rays(config, lobes_from=0.25, lobes_every=0.25), steps=12, densify={"adc": adc})
    Run(given, tmp_path, after_step).fit()
    assert [sum(lobes) for lobes in used] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3


def test_scales_have_a_floor_and_who_is_not_dense_enough_goes(config: TrainConfig, tmp_path) -> None:
    """After step 5; before the next step nothing else has happened."""
    found = {}

    def after_step(trainer) -> None:
        params = trainer.store.params
        if trainer.step == 4:
            with torch.no_grad():
                params["scales"][:20] = -12.0
                params["scales"][:20, 0] = 0.5
                params["opacities"][20:25] = -25.0
            found["rows"] = len(params["means"])
        if trainer.step == 5:
            found["scales"] = params["scales"].detach().clone()
            found["means"] = params["means"].detach().clone()
            volume = trainer._evaluated(params).volume
            found["densities"] = volume.densities.detach()
            found["least"] = least_density(0.05 * trainer.scene_extent)

    run = Run(rays(replace(config, steps=8), least_pixels=2.0, every=5), tmp_path, after_step)
    run.fit()
    assert len(found["means"]) <= found["rows"] - 5
    assert bool((found["densities"] > found["least"]).all())
    rates = finest_rates(found["means"], [view.camera for view in run.trainer.views._views])
    assert bool((found["scales"].exp() * rates[:, None] >= 2 * (1 - 1e-5))[rates > 0].all())
    assert bool((found["scales"][:, 0] > 0.4).sum() >= 10)


def test_an_interrupted_run_goes_on_to_the_bit(config: TrainConfig, tmp_path) -> None:
    config = rays(config, every=10)
    whole = Run(config, tmp_path / "whole")
    whole.fit()
    rest = interrupted_at(13, config, tmp_path / "parts")
    assert_same_bits(rest.state(), whole.state())


def test_it_is_for_densities_only(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match="rays is for --renderer raygauss, not for --model gaussian"):
        Rays(RaysConfig(), config, ())
