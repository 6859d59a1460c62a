"""SuGaR in three acts: what happens when, who goes, and that an interrupted run goes on to the bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_runs import Run, assert_same_bits, interrupted_at

from gsplat_core.errors import UsageError
from trainers.parts.registry import refuse_second_order
from trainers.parts.sugar import Sugar, SugarConfig

SETTINGS = SugarConfig(samples=200, search=0.1, min_opacity=0.18)
"""Of 40 steps: opacities from 20, surfaces from 24, neighbours at 25, 29, 33 and 37."""


def with_sugar(config, settings=SETTINGS):
    return replace(config, parts={"sugar": replace(settings, start=0.5, surfaces=0.6)})


def test_it_begins_after_seven_and_nine_fifteenths(config) -> None:
    part = Sugar(SugarConfig(), replace(config, steps=15_000), ())
    assert [part.holds_rows(step) for step in (1, 7000, 7001, 15_000)] == [False, False, True, True]
    assert [part.wants(step).depth for step in (7001, 9000, 9001)] == [False, False, True]


def test_who_is_not_opaque_goes_once_and_rows_stay_else(config, tmp_path) -> None:
    counts, faint = {}, {}

    def watch(trainer):
        counts[trainer.step] = trainer.num_gaussians
        faint[trainer.step] = int((torch.sigmoid(trainer.store.params["opacities"]) < 0.18).sum())

    Run(with_sugar(config), tmp_path, watch).fit()
    assert counts[20] != counts[15]
    assert len({counts[step] for step in range(20, 24)}) == 1
    assert counts[24] < counts[23]
    assert faint[23] > 0
    assert faint[24] == 0
    assert len({counts[step] for step in range(24, 41)}) == 1


@pytest.mark.parametrize("step", [22, 27])
def test_an_interrupted_run_goes_on_to_the_bit(step: int, config, tmp_path) -> None:
    whole = Run(with_sugar(config), tmp_path / "whole")
    whole.fit()
    rest = interrupted_at(step, with_sugar(config), tmp_path / "parts")
    assert_same_bits(rest.state(), whole.state())


def test_opacities_part_and_all_losses_count(config, tmp_path) -> None:
    def trained(name, **settings):
        run = Run(with_sugar(config, replace(SETTINGS, min_opacity=0.0, **settings)), tmp_path / name)
        run.fit()
        return run.trainer.store.params

    every = trained("every")
    for name in ("entropy", "distance", "normal"):
        assert not torch.equal(trained(name, **{name: 0.0})["quats"], every["quats"])


def test_what_it_does_not_know_is_refused(config) -> None:
    with pytest.raises(UsageError, match="plain Gaussians only, not of '2dgs'"):
        Sugar(SugarConfig(), replace(config, primitive="2dgs"), ())
    with pytest.raises(ValueError, match=r"surfaces, 0.2, must not be below its start, 0.4"):
        SugarConfig(start=0.4, surfaces=0.2)
    with pytest.raises(UsageError, match="knows no surfaces"):
        refuse_second_order(replace(config, optimizer="lm", parts={"sugar": SugarConfig()}))
