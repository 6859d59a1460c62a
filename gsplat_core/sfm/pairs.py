"""Which photographs are compared with which, without a vocabulary of words from elsewhere.

All with all (exhaustive); neighbours in order (sequential), such as the frames of a video; neighbours by
their GPS positions (spatial); or those that look alike (similar, see `similarity.py`), by which the two
before it also find where a way comes back to a place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gsplat_core.sfm.settings import Matcher

Pair = tuple[int, int]

EXHAUSTIVE_UP_TO = 100
"""Photographs: 4,950 pairs. Beyond, the time for all pairs grows past that of everything else."""
NEIGHBOURS_IN_ORDER = 10
NEIGHBOURS_IN_SPACE = 30
ALIKE = {"sequential": 5, "spatial": 10, "similar": 40}
"""By matcher, with how many photographs that look like it each is compared."""
_TILE = 16  # photographs: of two tiles all features are in memory at a time


class Plan(NamedTuple):
    """What is compared: fixed pairs of photographs, and each with so many that look like it."""

    matcher: Matcher
    pairs: list[Pair]
    alike: int


def planned(matcher: Matcher, number: int, in_order: bool, positions: npt.NDArray[np.float64] | None) -> Plan:
    """
    Args:
        matcher: as asked for.
        number: of photographs.
        in_order: whether neighbours show nearly the same, as in a video.
        positions: [N, 3] in metres, NaN where unknown; None where none is known.
    """
    known = 0 if positions is None else int(np.isfinite(positions).all(axis=1).sum())
    if matcher == "auto":
        if in_order:
            matcher = "sequential"
        elif number <= EXHAUSTIVE_UP_TO:
            matcher = "exhaustive"
        else:
            matcher = "spatial" if known >= 0.9 * number else "similar"
    found: Iterable[Pair] = ()
    if matcher == "exhaustive":
        found = exhaustive(number)
    elif matcher == "spatial" and positions is not None:
        found = nearest(positions, NEIGHBOURS_IN_SPACE)
    elif matcher in ("sequential", "similar"):
        # Whoever takes photographs walks on from one to the next: a few in order cost little.
        found = sequential(number, NEIGHBOURS_IN_ORDER if matcher == "sequential" else 3)
    return Plan(matcher, ordered(found), ALIKE.get(matcher, 0))


def exhaustive(number: int) -> list[Pair]:
    return [(i, j) for i in range(number) for j in range(i + 1, number)]


def sequential(number: int, overlap: int) -> set[Pair]:
    """Each with the next so many, and with those at distances of powers of two up to 2^overlap (COLMAP's
    quadratic overlap), by which some pairs have long baselines."""
    steps = {*range(1, overlap + 1), *(1 << power for power in range(overlap))}
    return {(i, i + step) for step in steps for i in range(number - step)}


def nearest(positions: npt.NDArray[np.float64], neighbours: int) -> set[Pair]:
    """Each with those nearest to it; of unknown places, none."""
    known = np.flatnonzero(np.isfinite(positions).all(axis=1))
    return closest(known, lambda row: np.linalg.norm(positions[known] - positions[row], axis=1), neighbours)


def most_alike(vectors: npt.NDArray[np.float32], neighbours: int) -> set[Pair]:
    """Each with those of the largest inner products [N, D]; none for what has no features, whose vector is
    zero."""
    known = np.flatnonzero(vectors.any(axis=1))
    return closest(known, lambda row: -(vectors[known] @ vectors[row]), neighbours)


def closest(
    known: npt.NDArray[np.intp], distances_from: Callable[[int], npt.NDArray[Any]], neighbours: int
) -> set[Pair]:
    """Pairs of each of these rows with the `neighbours` of the others with the smallest distances."""
    found = set()
    for row in known:
        order = known[np.argsort(distances_from(row), kind="stable")]
        for other in order[order != row][:neighbours]:
            found.add((min(int(row), int(other)), max(int(row), int(other))))
    return found


def ordered(pairs: Iterable[Pair]) -> list[Pair]:
    """Tile by tile, so that the features of few photographs are in memory at a time."""
    return sorted(pairs, key=lambda pair: (pair[0] // _TILE, pair[1] // _TILE, pair))


def chunks(pairs: Sequence[Pair], size: int = _TILE * _TILE) -> list[Sequence[Pair]]:
    """Of a size after which progress is told."""
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]
