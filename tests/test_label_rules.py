"""Rules for labels do to many what they say of each."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.errors import UsageError
from gsplat_core.label_rules import MOST, Labelling, apart, rule_of

LABELS = torch.tensor([0, 1, 2, 3, -1, 2, 1, 0], dtype=torch.int32)


def applied(*texts: str) -> tuple[list[int], list[int]]:
    labelling = Labelling([rule_of(text) for text in texts])
    rows, labels = labelling.apply(LABELS)
    labelling.check()
    return rows.tolist(), labels.tolist()


@pytest.mark.parametrize(
    ("texts", "rows", "labels"),
    [
        ([], [*range(8)], LABELS.tolist()),
        (["keep=1,2"], [1, 2, 5, 6], [1, 2, 2, 1]),
        (["drop=0,-1"], [1, 2, 3, 5, 6], [1, 2, 3, 2, 1]),
        (["1,2=5"], [*range(8)], [0, 5, 5, 3, -1, 5, 5, 0]),
        (["-1=0", "drop=0"], [1, 2, 3, 5, 6], [1, 2, 3, 2, 1]),
        (["2=1", "keep=1"], [1, 2, 5, 6], [1, 1, 1, 1]),
        (["keep=1,2", "keep=2,1", "drop=1"], [2, 5], [2, 2]),
    ],
)
def test_rules_are_done_one_after_the_other(texts, rows, labels) -> None:
    assert applied(*texts) == (rows, labels)


@pytest.mark.parametrize("texts", [["keep=7"], ["drop=7"], ["7=1"], ["keep=1", "drop=2"], ["2=1", "2=3"]])
def test_labels_that_no_gaussian_has_are_told(texts: list[str]) -> None:
    with pytest.raises(UsageError, match="No Gaussian has the label"):
        applied(*texts)


def test_a_label_may_be_in_any_piece() -> None:
    labelling = Labelling([rule_of("keep=1,3")])
    for labels in LABELS.split(2):
        labelling.apply(labels)
    labelling.check()
    labelling = Labelling([rule_of("keep=1")])
    labelling.apply(torch.zeros(3, dtype=torch.int32))
    with pytest.raises(UsageError, match="label 1; there are: 0"):
        labelling.check()


def test_objects_are_kept_apart_and_the_background_stays() -> None:
    assert apart(LABELS, 10).tolist() == [0, 11, 12, 13, -1, 12, 11, 0]
    assert apart(LABELS, 0).tolist() == LABELS.tolist()
    assert apart(LABELS, MOST - 3)[3] == MOST
    with pytest.raises(UsageError, match="too large"):
        apart(LABELS, MOST - 2)


@pytest.mark.parametrize("text", ["", "keep", "keep=", "keep=a", "1=2,3", "lose=1", "=1", "1="])
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(UsageError, match="a rule for labels is"):
        rule_of(text)


def test_labels_have_32_bits() -> None:
    with pytest.raises(UsageError, match="32 bits"):
        rule_of(f"keep={2**31}")
