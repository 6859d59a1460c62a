"""What a reconstruction has come to, and what to do about photographs that found no place in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gsplat_core.errors import DataError

FEWEST_PLACED = 3
FEW_FEATURES = 200
LEAST_SHARED = 15
"""Features: fewer that agree are taken for chance, by COLMAP."""
_NAMED = 6


@dataclass(frozen=True)
class Model:
    """One of the models; `sparse/0` has the most photographs.

    Attributes:
        names: of the photographs that have a pose.
        points: the number of 3D points.
        error: pixels between points and where they were seen, on average.
    """

    names: list[str]
    points: int
    error: float


@dataclass
class Outcome:
    """
    Attributes:
        folder: has `images/` and `sparse/0/`, as COLMAP leaves them.
        photographs: how many there were.
        models: from the largest to the smallest.
        left_out: by reason, the names of the photographs without a pose in the largest model.
    """

    folder: Path
    photographs: int
    models: list[Model]
    left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def placed(self) -> int:
        return len(self.models[0].names) if self.models else 0


def without_place(
    names: Sequence[str], models: Sequence[Model], facts: dict[str, dict[str, Any]]
) -> dict[str, list[str]]:
    """By reason, the photographs that the largest model does not have.

    Args:
        names: of all photographs.
        facts: what `colmap.examine` found of each.
    """
    placed = set(models[0].names) if models else set()
    others = {name: rank for rank, model in enumerate(models) for name in model.names if rank}
    found: dict[str, list[str]] = {}
    for name in names:
        if name not in placed:
            reason = _reason(facts.get(name), others.get(name))
            reason = NO_START if reason == UNCERTAIN and not placed else reason
            found.setdefault(reason, []).append(name)
    return found


def _reason(facts: dict[str, Any] | None, other: int | None) -> str:
    if facts is None:
        return UNREADABLE
    if other is not None:
        return f"in sparse/{other}, which shows nothing that sparse/0 does"
    if facts["features"] < FEW_FEATURES:
        return FEATURELESS
    return ALONE if facts["shared"] < LEAST_SHARED else UNCERTAIN


UNREADABLE = "not read by COLMAP"
FEATURELESS = "hardly any features"
ALONE = "nothing in common with another photograph"
UNCERTAIN = "too little in common with those that have a pose"
NO_START = "no two of them show enough of the same from different places"
REMEDIES = {
    UNREADABLE: "save it again as JPEG or PNG",
    FEATURELESS: "it is blurred, dark or shows a blank surface: leave it out, or --quality high",
    ALONE: "take photographs between it and the others, or --matcher exhaustive",
    NO_START: "walk around what you photograph, in smaller steps, or --quality high",
    UNCERTAIN: "take photographs between them and the others, or --quality high",
}
_OTHER_MODEL = "take photographs that show both parts, or --matcher exhaustive; `train` has --sparse-model"


def advice(left_out: dict[str, list[str]]) -> list[str]:
    """A sentence for each reason: which photographs, and what helps."""
    lines = []
    for reason, names in left_out.items():
        listing = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if names[_NAMED:] else "")
        remedy = REMEDIES.get(reason, _OTHER_MODEL)
        number = "1 photograph has" if len(names) == 1 else f"{len(names)} photographs have"
        lines.append(f"{number} no pose, {reason}: {listing}. What helps: {remedy}.")
    return lines


def summary(outcome: Outcome) -> str:
    """One line."""
    model = outcome.models[0]
    return (
        f"{len(model.names)} of {outcome.photographs} photographs placed, {model.points:,} points, "
        f"{model.error:.2f} pixels from where they were seen"
    )


def doubts(outcome: Outcome) -> list[str]:
    """What looks wrong of a result that can be used, a sentence each."""
    found = []
    if len(outcome.models) > 1:
        sizes = ", ".join(f"sparse/{rank} of {len(model.names)}" for rank, model in enumerate(outcome.models))
        found.append(
            f"the photographs fall into {len(outcome.models)} models without anything in common ({sizes}); "
            "sparse/0 is used."
        )
    if 2 * outcome.placed < outcome.photographs:
        found.append(
            f"only {outcome.placed} of {outcome.photographs} photographs have a pose: the scene will show no "
            "more than these do."
        )
    return found


def refuse_failure(outcome: Outcome, source: Path) -> None:
    """Raises DataError where too few photographs have a pose for anything to be trained on."""
    if outcome.placed >= min(FEWEST_PLACED, outcome.photographs):
        return
    what = f"only {outcome.placed} of its" if outcome.placed else "none of its"
    raise DataError(
        source,
        f"{what} {outcome.photographs} photographs could be placed",
        remedy=" ".join(advice(outcome.left_out))
        + " Neighbours are to share two thirds of what they show, from different places (docs/shooting.md).",
    )
