"""A sample of mistakes that is spread over all files and drawn again by its seed."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from mutations.mistake import Mistake

MOST_LINES = 120  # a longer file does not get more of the sample


def sample(mistakes: Mapping[str, Sequence[Mistake]], count: int, seed: int) -> list[Mistake]:
    """`count` mistakes of distinct lines, fewer where there are not as many lines.

    Files are drawn in proportion to their lines that a mistake can be planted in, at equal distances, then a
    line of the file, then one of its mistakes: neither a long file nor a long line dominates.

    Args:
        mistakes: of each file, by its name.
    """
    rng = random.Random(seed)
    remaining: dict[str, list[list[Mistake]]] = {}
    for file in sorted(mistakes):
        by_line: dict[int, list[Mistake]] = defaultdict(list)
        for mistake in mistakes[file]:
            by_line[mistake.line].append(mistake)
        lines = [by_line[line] for line in sorted(by_line)]
        rng.shuffle(lines)
        if lines:
            remaining[file] = lines
    chosen: list[Mistake] = []
    while remaining and len(chosen) < count:
        weights = {file: min(len(lines), MOST_LINES) for file, lines in remaining.items()}
        for file in _spread(weights, count - len(chosen), rng):
            if remaining.get(file):
                chosen.append(rng.choice(remaining[file].pop()))
        remaining = {file: lines for file, lines in remaining.items() if lines}
    return chosen


def _spread(weights: Mapping[str, int], count: int, rng: random.Random) -> list[str]:
    """`count` files at equal distances along all their weights, from a random start."""
    files = list(weights)
    rng.shuffle(files)
    distance = sum(weights.values()) / count
    place, passed, chosen = rng.random() * distance, 0.0, []
    for file in files:
        passed += weights[file]
        while place < passed:
            chosen.append(file)
            place += distance
    rng.shuffle(chosen)
    return chosen
