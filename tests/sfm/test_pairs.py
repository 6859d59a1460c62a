"""Which photographs are compared with which."""

from __future__ import annotations

import numpy as np

from gsplat_core.sfm.pairs import (
    EXHAUSTIVE_UP_TO,
    chunks,
    exhaustive,
    most_alike,
    nearest,
    ordered,
    planned,
    sequential,
)


def test_all_with_all_and_each_pair_once() -> None:
    pairs = exhaustive(7)
    assert len(pairs) == len(set(pairs)) == 21
    assert all(i < j for i, j in pairs)


def test_neighbours_in_order_and_some_farther() -> None:
    pairs = sequential(100, 4)
    gaps = {j - i for i, j in pairs}
    assert gaps == {1, 2, 3, 4, 8}
    assert {(i, i + 1) for i in range(99)} <= pairs
    assert all(0 <= i < j < 100 for i, j in pairs)
    assert sequential(3, 10) == {(0, 1), (0, 2), (1, 2)}


def test_neighbours_in_space_are_the_near_ones() -> None:
    """On two lines far from each other."""
    x = np.arange(10.0)
    places = np.concatenate([np.stack([x, 0 * x, 0 * x], 1), np.stack([x, 1000 + 0 * x, 0 * x], 1)])
    places[3] = np.nan
    pairs = nearest(places, 2)
    assert all((i < 10) == (j < 10) for i, j in pairs)
    assert (5, 6) in pairs
    assert (0, 9) not in pairs
    assert not any(3 in pair for pair in pairs)


def test_those_that_look_alike_and_nothing_for_what_shows_nothing() -> None:
    random = np.random.default_rng(0)
    kinds = np.eye(3, 20, dtype=np.float32)
    vectors = kinds[np.arange(12) % 3] + 0.01 * random.standard_normal((12, 20)).astype(np.float32)
    vectors[7] = 0
    pairs = most_alike(vectors, 2)
    assert pairs
    assert all(i % 3 == j % 3 for i, j in pairs)
    assert not any(7 in pair for pair in pairs)


def test_what_is_chosen_by_itself() -> None:
    few, many = EXHAUSTIVE_UP_TO, EXHAUSTIVE_UP_TO + 1
    somewhere = np.random.default_rng(0).uniform(0, 100, (many, 3))
    assert planned("auto", few, False, None).matcher == "exhaustive"
    assert planned("auto", many, True, None).matcher == "sequential"
    assert planned("auto", few, True, None).alike > 0  # where a video comes back to a place
    assert planned("auto", many, False, somewhere).matcher == "spatial"
    somewhere[: many // 2] = np.nan
    assert planned("auto", many, False, somewhere).matcher == "similar"
    assert planned("auto", many, False, None).matcher == "similar"
    assert planned("exhaustive", many, True, None).alike == 0
    for matcher in ("sequential", "spatial", "similar"):
        plan = planned(matcher, many, False, np.nan_to_num(somewhere))
        assert len(plan.pairs) + many * plan.alike < many * (many - 1) // 2


def test_few_photographs_are_in_memory_at_a_time() -> None:
    pairs = ordered(exhaustive(60))
    assert sorted(pairs) == exhaustive(60)
    parts = chunks(pairs)
    assert [pair for part in parts for pair in part] == pairs
    assert all(len({i for pair in part for i in pair}) <= 64 for part in parts)
    assert max(map(len, parts)) <= 256
