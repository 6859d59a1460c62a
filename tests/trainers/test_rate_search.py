"""The path through rounds of coding: from which scene, how much coarser, when it ends, what is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from gsplat_core.errors import UsageError
from trainers import rate_search
from trainers.rate_search import Goal, Round, search

SCENE = "the scene"
ROUND = Round(1.0, 1.0, 10, 100, 1000, 30.0, 0.9, 0.1, 0.001, 1.0, 1.0, 1.0, b"data")


class FakePath:
    """Rounds as they are told: sizes and losses one after the other."""

    told: ClassVar[list[Round]] = []
    asked: ClassVar[list[tuple[Any, float, float]]] = []

    def __init__(self, gaussians: Any, *rest: Any) -> None:
        self.rounds: list[Round] = []
        self.scene = gaussians
        self.reference = (31.0, 0.95)
        FakePath.asked = []

    def advance(self, scene: Any, keep: float, coarseness: float) -> Round:
        FakePath.asked.append((scene, keep, round(coarseness, 6)))
        done = replace(FakePath.told[len(self.rounds)], coarseness=coarseness)
        self.scene = f"round {len(self.rounds) + 1}"
        self.rounds.append(done)
        return done


@pytest.fixture(autouse=True)
def fake_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_search, "_Path", FakePath)


def searched(goal: Goal, *told: Round) -> tuple[rate_search.Search, list[Round]]:
    FakePath.told = list(told)
    reported: list[Round] = []
    found = search(SCENE, None, None, "scalar", goal, 10, reported.append)  # type: ignore[arg-type]
    assert reported == found.rounds
    assert (found.reference_psnr, found.reference_ssim) == (31.0, 0.95)
    return found, found.rounds


def lossy(db: float, ssim: float = 0.0, size: int = 1000) -> Round:
    return replace(ROUND, loss_db=db, loss_ssim=ssim, size=size)


def test_a_loss_is_approached_from_round_to_round_until_it_is_passed() -> None:
    goal = Goal(max_loss_db=0.3)
    found, rounds = searched(goal, lossy(0.1, size=900), lossy(0.3, size=700), lossy(0.31, size=500))
    assert FakePath.asked == [(SCENE, 0.6, 0.9), ("round 1", 0.8, 0.972), ("round 2", 0.8, 1.04976)]
    assert found.reached
    assert found.chosen == rounds[1]


def test_the_smallest_file_within_the_loss_is_chosen() -> None:
    goal = Goal(max_loss_db=0.3)
    found, rounds = searched(goal, lossy(0.2, size=600), lossy(0.1, size=700), lossy(0.4, size=500))
    assert found.chosen == rounds[0]


def test_losses_in_both_measures_count() -> None:
    goal = Goal(max_loss_db=0.3, max_loss_ssim=0.004)
    found, rounds = searched(goal, lossy(0.1, 0.004), lossy(0.1, 0.0041))
    assert len(rounds) == 2
    assert found.chosen == rounds[0]


def test_where_the_first_round_loses_too_much_a_gentle_one_starts_anew() -> None:
    goal = Goal(max_loss_db=0.3)
    found, rounds = searched(goal, lossy(0.5), lossy(0.2), lossy(0.4))
    assert FakePath.asked[:2] == [(SCENE, 0.6, 0.9), (SCENE, 0.9, 0.45)]
    assert FakePath.asked[2] == ("round 2", 0.8, 0.486)
    assert found.chosen == rounds[1]
    found, rounds = searched(goal, lossy(0.5), lossy(0.4, 0.01))
    assert not found.reached
    assert found.chosen == rounds[0]  # 0.01 of SSIM are worth 0.6 dB


def test_a_size_is_approached_as_fast_as_it_is_far() -> None:
    goal = Goal(target_bytes=500)
    found, rounds = searched(
        goal, lossy(0.1, size=5000), lossy(0.2, size=600), lossy(0.5, size=510), lossy(0.6, size=500)
    )
    keeps = [keep for _, keep, _ in FakePath.asked]
    assert keeps == [0.6, 0.5, pytest.approx((500 / 600) ** 0.75), 0.9]
    assert [scene for scene, _, _ in FakePath.asked] == [SCENE, "round 1", "round 2", "round 3"]
    assert found.reached
    assert found.chosen == rounds[3]


def test_a_size_that_is_never_reached_ends_after_twelve_rounds() -> None:
    found, rounds = searched(Goal(target_bytes=5), *[lossy(0.1 * i, size=1000 - i) for i in range(20)])
    assert len(rounds) == 12
    assert not found.reached
    assert found.chosen == rounds[-1]


def test_what_a_round_tells() -> None:
    told = lossy(0.2, 0.004)
    assert told.loss == pytest.approx(0.24)
    assert lossy(0.3, 0.004).loss == 0.3
    summary = told.summary()
    assert "data" not in summary
    assert summary["size"] == 1000


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"max_loss_db": 0.1, "target_bytes": 5},
        {"max_loss_ssim": 0.1, "target_bytes": 5},
        {"max_loss_db": 0.0},
        {"max_loss_db": float("inf")},
        {"max_loss_db": 0.1, "max_loss_ssim": 0.0},
        {"max_loss_db": 0.1, "max_loss_ssim": float("inf")},
        {"target_bytes": 0},
    ],
)
def test_goals_that_cannot_be_asked_for(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Goal(**wrong)


def test_a_loss_in_decibels_stands_for_one_in_ssim() -> None:
    assert Goal(max_loss_db=0.3).max_loss_ssim == pytest.approx(0.005)
    assert Goal(max_loss_db=0.3, max_loss_ssim=0.1).max_loss_ssim == 0.1
    assert Goal(target_bytes=1).max_loss_ssim is None
