"""The 3D filter in training: when it is computed anew, and that files, checkpoints and resets know it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

import gsplat_core.io
from gsplat_core.errors import UsageError
from gsplat_core.models.mip import FILTER, deviations
from gsplat_core.render.sampling import finest_rates
from trainers.checkpoint import read_checkpoint
from trainers.cli import main
from trainers.config import ANTIALIASINGS
from trainers.parts import smoothing
from trainers.presets import preset, with_antialiasing, with_primitive
from trainers.run_folder import RunFolder
from trainers.sources import load_scene


@pytest.fixture
def mip(config):
    return with_antialiasing(config, "mip")


def rightful(run: Run) -> torch.Tensor:
    cameras = [view.camera for view in run.views]
    return deviations(finest_rates(run.trainer.store.params["means"].detach(), cameras))


def test_it_is_computed_at_the_start_after_changes_and_now_and_then(mip, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(smoothing, "EVERY", 8)
    rows, computed = [], []
    inner = smoothing.finest_rates

    def counted(means, cameras):
        assert len(list(cameras)) == 9
        computed.append(run.trainer.step + 1)
        return inner(means, cameras)

    monkeypatch.setattr(smoothing, "finest_rates", counted)
    run = Run(replace(mip, reorder_every=0), tmp_path, lambda trainer: rows.append(trainer.num_gaussians))
    run.fit()
    grown = [step + 2 for step in range(len(rows) - 1) if rows[step + 1] != rows[step]]
    expected = {1, *(step + 1 for step in grown), *range(8, 33, 8)}
    assert len(grown) >= 3
    assert computed == sorted(expected)


def test_what_is_drawn_has_the_filter_of_where_it_is(mip, tmp_path) -> None:
    seen = []

    def after_step(trainer):
        seen.append(trainer.store.extras[FILTER].clone())

    run = Run(mip, tmp_path, after_step)
    loop = run.loop()
    run.views = loop.views
    first = rightful(run)
    loop.fit()
    assert bool((first > 0).all())
    assert torch.equal(seen[0].sort().values, first.sort().values)  # rows were put in order
    torch.testing.assert_close(run.trainer.store.extras[FILTER], rightful(run), rtol=0.1, atol=0)


def test_an_interrupted_run_goes_on_to_the_bit(mip, tmp_path) -> None:
    whole = Run(mip, tmp_path / "whole")
    whole.fit()
    # After step 15 Gaussians were added, and their filters are due.
    rest = interrupted_at(15, mip, tmp_path / "parts")
    assert_same_bits(rest.state(), whole.state())


def test_a_reset_lowers_what_is_drawn(mip, tmp_path) -> None:
    adc = replace(mip.densify["adc"], refine_start=39, refine_stop=40, reset_every=20, reset_opacity=0.01)
    largest = []

    def after_step(trainer):
        with torch.no_grad():
            params = trainer.store.params
            drawn = trainer._evaluated(params).opacities.max()
            largest.append((float(drawn), float(params["opacities"].sigmoid().max())))

    Run(replace(mip, densify={"adc": adc}, reorder_every=0), tmp_path, after_step).fit()
    drawn, raw = largest[19]
    assert drawn == pytest.approx(0.01, rel=1e-4)
    assert raw > 0.0102
    assert largest[18][0] > 0.05


def test_files_have_the_filter_in_scales_and_checkpoints_beside_them(tiny_scene, tmp_path) -> None:
    folder = RunFolder(tmp_path / "run")
    options = ["--preset", "tiny", "--steps", "30", "--test-every", "4", "--antialiasing", "mip"]
    assert main(["train", str(tiny_scene), "-o", str(folder.path), *options]) == 0
    file = gsplat_core.io.load(folder.point_cloud)
    assert (file.primitive, file.metadata.antialiased, file.metadata.eps2d) == ("gaussian", True, 0.1)
    state = read_checkpoint(sorted(folder.checkpoints.glob("*.json"))[-1]).state["trainer"]["gaussians"]
    filters = state[f"extras.{FILTER}"]
    assert bool((filters > 0).all())
    expected = (state["scales"].exp() ** 2 + filters[:, None] ** 2).sqrt().log()
    torch.testing.assert_close(file.scales, expected, atol=1e-5, rtol=1e-5)
    assert load_scene(folder.path, print).metadata == file.metadata
    # It is trained on as plain Gaussians: the filter is not applied twice.
    small = tmp_path / "small"
    compress = ["compress", str(folder.path), "-o", str(small), "--max-loss-db", "9", "--steps", "4"]
    assert main([*compress, "--codec", "vq"]) == 0
    assert gsplat_core.io.load(RunFolder(small).compressed).metadata == file.metadata


def test_the_ways_are_told_by_the_configuration() -> None:
    plain = preset("tiny")
    for name in ANTIALIASINGS:
        assert with_antialiasing(plain, name).antialiasing == name
        assert with_antialiasing(with_antialiasing(plain, "mip"), name) == with_antialiasing(plain, name)
    assert replace(plain, eps2d=0.2).antialiasing == "other"
    generalized = with_primitive(plain, "generalized")
    assert with_antialiasing(generalized, "screen").antialiasing == "screen"
    assert with_antialiasing(generalized, "screen").primitive == "generalized"
    with pytest.raises(UsageError, match="primitive 'mip', but it is one of 'generalized'"):
        with_antialiasing(generalized, "mip")
