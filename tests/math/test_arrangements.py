"""The arrangements are all permutations of four things in lexical order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations


def test_each_permutation_stands_at_its_place(function: Callable) -> None:
    got = [tuple(int(function("arrangement", [a, i], 1)[0]) for i in range(4)) for a in range(24)]
    assert got == list(permutations(range(4)))
