"""What is told of photographs that found no place, and when a result is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gsplat_core.errors import DataError
from gsplat_core.sfm.outcome import (
    ALONE,
    FEATURELESS,
    NO_START,
    UNCERTAIN,
    UNREADABLE,
    Model,
    Outcome,
    advice,
    doubts,
    refuse_failure,
    summary,
    without_place,
)

GOOD = {"features": 3000, "shared": 400, "partner": "a"}


def model(*names: str) -> Model:
    return Model(list(names), 1234, 0.5)


def test_each_photograph_without_a_pose_has_its_reason() -> None:
    facts = {
        **{name: GOOD for name in "abcdx"},
        "blank": {"features": 12, "shared": 0, "partner": ""},
        "alone": {"features": 3000, "shared": 14, "partner": "a"},
        "unsure": {"features": 3000, "shared": 40, "partner": "a"},
    }
    names = [*"abcdx", "blank", "alone", "unsure", "odd"]
    found = without_place(names, [model(*"abcd"), model("x")], facts)
    assert found[FEATURELESS] == ["blank"]
    assert found[ALONE] == ["alone"]
    assert found[UNCERTAIN] == ["unsure"]
    assert found[UNREADABLE] == ["odd"]
    assert [name for group in found.values() for name in group] == ["x", "blank", "alone", "unsure", "odd"]
    assert all("What helps: " in line for line in advice(found))
    assert without_place(["unsure", "alone"], [], facts) == {NO_START: ["unsure"], ALONE: ["alone"]}
    assert without_place(list("abcd"), [model(*"abcd")], facts) == {}


def test_advice_names_some_and_counts_the_rest() -> None:
    line = advice({ALONE: [f"{i}.jpg" for i in range(40)]})[0]
    assert line.startswith("40 photographs have no pose")
    assert "5.jpg and 34 more" in line
    assert "--matcher exhaustive" in line
    assert advice({FEATURELESS: ["a.jpg"]})[0].startswith(
        "1 photograph has no pose, hardly any features: a.jpg."
    )


@pytest.mark.parametrize(("models", "what"), [([], "none of its"), ([model("a", "b")], "only 2 of its")])
def test_too_few_are_refused_with_what_helps(models: list[Model], what: str) -> None:
    outcome = Outcome(Path("out"), 20, models, {FEATURELESS: ["c.jpg"]})
    with pytest.raises(
        DataError, match=rf"photos: {what} 20 photographs could be placed\..*c\.jpg.*two thirds"
    ):
        refuse_failure(outcome, Path("photos"))


def test_two_photographs_may_be_enough() -> None:
    refuse_failure(Outcome(Path("out"), 2, [model("a", "b")]), Path("photos"))
    refuse_failure(Outcome(Path("out"), 20, [model("a", "b", "c")]), Path("photos"))


def test_doubts_are_told_and_nothing_where_all_is_well() -> None:
    whole = Outcome(Path("out"), 3, [model("a", "b", "c")])
    assert doubts(whole) == []
    assert summary(whole) == "3 of 3 photographs placed, 1,234 points, 0.50 pixels from where they were seen"
    parts = doubts(Outcome(Path("out"), 9, [model("a", "b", "c"), model("d", "e")]))
    assert "sparse/0 of 3, sparse/1 of 2" in parts[0]
    assert "only 3 of 9" in parts[1]
