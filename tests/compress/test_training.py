"""Training for a codec: when it prunes, what it keeps, and that a restored run goes on alike."""

from __future__ import annotations

import pytest
import torch
from compress.scenes import scene

from gsplat_core.compress.codebook import bisection_order
from gsplat_core.compress.ranking import least_important, most_important
from gsplat_core.compress.registry import CODECS
from gsplat_core.compress.training import CompressedTraining, CompressionConfig, Schedule
from gsplat_core.densify.edits import Prune
from gsplat_core.errors import UsageError


def training(keep: float = 0.25) -> CompressedTraining:
    return CompressedTraining(CODECS["scalar"].create(1.0), Schedule(10, 40, keep, 5), cameras=[])


def test_nothing_happens_before_the_start() -> None:
    params = scene(100).params
    run = training()
    assert run.shown(10, params) is params
    assert run.penalty(10, params) == 0
    assert run.on_step(9, params) == []
    assert not torch.equal(run.shown(11, params)["sh0"], params["sh0"])


def test_two_prunings_leave_the_wanted_fraction() -> None:
    gaussians, run = scene(100), training()
    for step in range(1, 41):
        for edit in run.on_step(step, gaussians.params):
            assert isinstance(edit, Prune)
            keep = torch.ones(gaussians.num, dtype=torch.bool)
            keep[edit.rows] = False
            gaussians = gaussians.subset(keep)
    assert gaussians.num == 25
    assert run.schedule.prunings == (10, 20)


def test_the_codec_is_fitted_anew_after_pruning() -> None:
    gaussians, run = scene(100), training()
    run.shown(11, gaussians.params)
    fewer = gaussians.subset(slice(0, 60))
    assert run.shown(12, fewer.params)["means"].shape == (60, 3)


def test_a_restored_run_shows_the_same() -> None:
    params, run, restored = scene(100).params, training(), training()
    run.shown(11, params)
    restored.load_state_dict(run.state_dict())
    moved = {name: value + 0.1 for name, value in params.items()}
    one, other = run.shown(13, moved), restored.shown(13, moved)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_learning_rates_fall_at_the_end() -> None:
    schedule = Schedule(0, 300)
    assert schedule.learning_rate_factor(200) == 1
    assert schedule.learning_rate_factor(300) == pytest.approx(0.05)
    factors = [schedule.learning_rate_factor(step) for step in range(200, 301)]
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize("schedule", [Schedule(0, 300), Schedule(60, 360)])
def test_learning_rates_fall_along_a_cosine(schedule: Schedule) -> None:
    """From 1 without a jump, point-symmetric about the middle between 1 and 0.05."""
    begin, end = schedule.stop - 100, schedule.stop
    assert schedule.learning_rate_factor(begin + 1) == pytest.approx(1, abs=1e-3)
    for after in range(101):
        opposite = schedule.learning_rate_factor(end - after)
        assert schedule.learning_rate_factor(begin + after) + opposite == pytest.approx(1.05)
    assert schedule.learning_rate_factor(begin + 25) == pytest.approx(0.525 + 0.475 * 0.5**0.5)


def test_scores_rank_and_ties_go_to_the_first() -> None:
    scores = torch.tensor([1.0, 3.0, 0.0, 3.0, 1.0])
    assert most_important(scores, 3).tolist() == [0, 1, 3]
    assert least_important(scores, 3).tolist() == [2, 4]


def test_numbers_of_codes_with_a_common_prefix_resemble_each_other() -> None:
    codes = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    ordered = codes[bisection_order(codes)]
    halves = ordered.reshape(2, 32, 3)
    within = sum(torch.pdist(half).mean() for half in halves) / 2
    assert within < 0.9 * torch.pdist(codes).mean()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Schedule(5, 5),
        lambda: Schedule(0, 5, keep=0),
        lambda: Schedule(0, 5, refresh_every=0),
        lambda: CompressionConfig(keep=2),
        lambda: CompressionConfig(coarseness=0),
        lambda: CompressionConfig(start=1),
    ],
)
def test_values_out_of_range(wrong: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        wrong()  # type: ignore[operator]


def test_a_codec_that_is_not_registered_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="There is no codec 'zip'; there are vq, grid, scalar, eagles"):
        CompressionConfig("zip")
