"""Latents in training: what density control reads and writes is what they say, and how fast they learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.activations import sigmoid
from gsplat_core.errors import UsageError
from gsplat_core.models.eagles import DECODERS, NAME
from gsplat_core.scene.schema import FROZEN
from trainers.loop import Interrupted
from trainers.parts.latents import Latents


def adc_of(config, **changes):
    usual = {
        "refine_start": 3,
        "refine_stop": 40,
        "refine_every": 4,
        "gradient_threshold": 1e-5,
        "max_gaussians": 150,
    }
    return replace(config, primitive=NAME, densify={"adc": replace(config.densify["adc"], **usual | changes)})


def test_only_scenes_with_latents_have_it(config):
    assert Latents.of("latents", config, ()) is None
    assert Latents.of("latents", replace(config, primitive=NAME), ()) is not None


def test_decoded_fields_are_what_latents_say_after_every_step(config, tmp_path):
    rows, zeros = [], []

    def after_step(trainer):
        scene = trainer.gaussians
        for decoder in DECODERS:
            said = scene.fields[decoder.field]
            torch.testing.assert_close(decoder.decoded(scene.fields), said, rtol=1e-5, atol=1e-5)
        rows.append(scene.num)
        zeros.append(all(not bool(values.any()) for values in scene.further.values()))

    Run(adc_of(config, prune_opacity=1e-4), tmp_path, after_step).fit()
    assert rows[-1] > rows[0]  # with clones and children
    assert zeros[0] is False


def test_opacities_that_are_lowered_become_latents_that_say_so(config, tmp_path):
    seen = {}

    def after_step(trainer):
        latents = trainer.store.params["opacity_latents"]
        seen[trainer.step] = (sigmoid(trainer.gaussians.baked().opacities).max(), latents.detach().clone())
        if trainer.step == 8:
            assert not bool(trainer.adam.state[latents]["exp_avg"].any())
            raise Interrupted(8)

    with pytest.raises(Interrupted):
        Run(adc_of(config, reset_every=8, refine_start=30), tmp_path, after_step).fit()
    assert seen[7][0] > 0.05
    assert seen[8][0] < 0.01 * 1.25  # to half of a step of logits
    assert bool((seen[8][1] < seen[7][1]).any())


def test_rates_are_divided_by_the_norm_of_the_decoder(config, tmp_path):
    run = Run(replace(config, primitive=NAME), tmp_path)
    run.loop()
    trainer = run.trainer
    (part,) = [part for part in trainer.parts if isinstance(part, Latents)]
    trainer._set_learning_rates(1)
    before = trainer.store.learning_rates()
    part.on_backward(1, None)
    after, shared = trainer.store.learning_rates(), trainer.store.shared
    for name in ("rest", "rotation"):
        norm = float(shared[f"{name}_scale"].detach().norm())
        assert after[f"{name}_latents"] == pytest.approx(before[f"{name}_latents"] / norm)
    assert after["opacity_latents"] == before["opacity_latents"]


def test_frozen_rows_are_refused(config, tmp_path):
    run = Run(replace(config, primitive=NAME), tmp_path)
    run.loop()
    run.trainer.store.extras[FROZEN] = torch.ones(run.trainer.num_gaussians, dtype=torch.bool)
    with pytest.raises(UsageError, match="all share their decoders"):
        run.trainer.load_state_dict(run.trainer.state_dict())


def test_an_interrupted_run_goes_on_to_the_bit(config, tmp_path):
    config = adc_of(config)
    whole = Run(config, tmp_path / "whole")
    whole.fit()
    rest = interrupted_at(13, config, tmp_path / "parts")
    assert_same_bits(rest.state(), whole.state())
