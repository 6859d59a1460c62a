"""The shapes of GES in training: when they become 0 again, and what files and checkpoints have of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

import gsplat_core.io
from gsplat_core.models.ges import SHAPE
from trainers.checkpoint import read_checkpoint
from trainers.cli import main
from trainers.loop import Interrupted
from trainers.parts.shapes import Shapes
from trainers.run_folder import RunFolder


def test_the_schedule_is_the_published_one_in_a_run_of_the_published_length() -> None:
    part = Shapes(40_000)
    assert [step for step in range(1, 40_001) if part.resets_at(step)] == [*range(1001, 15_001, 1000)]
    short = Shapes(400)
    assert [step for step in range(1, 401) if short.resets_at(step)] == [*range(11, 151, 10)]


def test_only_scenes_with_shapes_have_it(config) -> None:
    assert Shapes.of("shapes", config, ()) is None
    assert Shapes.of("shapes", replace(config, primitive="ges"), ()) is not None


def test_shapes_and_their_moments_become_zero_copies_included(config, tmp_path) -> None:
    """Rows are added after step 160, shapes reset after step 161."""
    adc = replace(config.densify["adc"], refine_start=159, refine_stop=161, refine_every=160, reset_every=999)
    config = replace(config, primitive="ges", steps=1600, reorder_every=0, densify={"adc": adc})
    zeros, moments, rows = [], [], []

    def after_step(trainer):
        shapes = trainer.store.params[SHAPE]
        zeros.append(not bool(shapes.any()))
        moments.append(bool(trainer.adam.state[shapes]["exp_avg_sq"].any()))
        rows.append(trainer.num_gaussians)
        if trainer.step == 162:
            raise Interrupted(162)

    with pytest.raises(Interrupted):
        Run(config, tmp_path, after_step).fit()
    assert rows[159] > rows[158]
    assert [step for step, zero in enumerate(zeros, 1) if zero] == [41, 81, 121, 161]
    without = [step for step, some in enumerate(moments, 1) if not some]
    assert [step for step in without if step != 160] == [41, 81, 121, 161]  # at 160 all rows were replaced


def test_an_interrupted_run_goes_on_to_the_bit(config, tmp_path) -> None:
    config = replace(config, primitive="ges")
    whole = Run(config, tmp_path / "whole")
    whole.fit()
    rest = interrupted_at(13, config, tmp_path / "parts")
    assert_same_bits(rest.state(), whole.state())
    assert bool(whole.trainer.store.params[SHAPE].any())


def test_files_have_them_in_scales_and_checkpoints_beside_them(tiny_scene, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")
    options = ["--preset", "tiny", "--steps", "30", "--test-every", "4", "--model", "ges"]
    rate = ["--set", f"learning_rates.further.{SHAPE}=1.0"]
    assert main(["train", str(tiny_scene), "-o", str(folder.path), *options, *rate]) == 0
    file = gsplat_core.io.load(folder.point_cloud)
    assert file.primitive == "gaussian"
    state = read_checkpoint(sorted(folder.checkpoints.glob("*.json"))[-1]).state["trainer"]["gaussians"]
    factors = 2 * torch.sigmoid(0.1 * state[SHAPE])
    assert float((factors - 1).abs().max()) > 0.05
    expected = (state["scales"].exp() * factors[:, None]).log()
    torch.testing.assert_close(file.scales, expected, atol=1e-5, rtol=1e-5)
