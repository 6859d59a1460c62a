"""Samples are drawn again by their seed and spread over the files."""

from __future__ import annotations

from collections import Counter

from mutations.mistake import Mistake
from mutations.sample import MOST_LINES, sample


def mistakes(lines: dict[str, int], each: int = 3) -> dict[str, list[Mistake]]:
    return {
        file: [
            Mistake(file, line, 10 * line + i, "+", "-", "arithmetic")
            for line in range(count)
            for i in range(each)
        ]
        for file, count in lines.items()
    }


def test_the_same_seed_draws_the_same() -> None:
    given = mistakes({"a": 50, "b": 20, "c": 400})
    assert sample(given, 30, seed=1) == sample(given, 30, seed=1)
    assert sample(given, 30, seed=1) != sample(given, 30, seed=2)


def test_each_line_comes_once_at_most() -> None:
    given = mistakes({"a": 5, "b": 20})
    chosen = sample(given, 100, seed=0)
    assert len(chosen) == 25
    assert len({(m.file, m.line) for m in chosen}) == 25


def test_long_files_do_not_dominate() -> None:
    given = mistakes({"long": 50 * MOST_LINES, **{f"short{i}": MOST_LINES // 2 for i in range(10)}})
    for seed in range(5):
        files = Counter(m.file for m in sample(given, 60, seed))
        assert files["long"] == 10
        assert all(files[f"short{i}"] == 5 for i in range(10))
