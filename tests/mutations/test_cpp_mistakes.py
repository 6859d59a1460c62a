"""Which mistakes are found in a header, and which of its parts are no formulas."""

from __future__ import annotations

import pytest

from mutations.cpp_mistakes import cpp_mistakes


def variants(line: str, rest: str = "") -> set[str]:
    text = f"{line}\n{rest}"
    return {m.applied(text).split("\n")[0] for m in cpp_mistakes("file.h", text) if m.line == 1}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("r = e.n - k * s;", {"r = e.n + k * s;", "r = e.n - k / s;"}),
        ("r = T(0.5);", {"r = T(0.45);"}),
        ("r = 2.0f;", {"r = 1.8f;"}),
        ("r = g.x;", {"r = g.y;"}),
        ("r = max(e, s);", {"r = min(e, s);"}),
        ("r = -e;", {"r = e;"}),
        (
            "if (e < s && s >= t) {",
            {"if (e <= s && s >= t) {", "if (e < s && s > t) {", "if (e < s || s >= t) {"},
        ),
        ("r = select(e, s, t);", {"r = select(!(e), s, t);"}),
    ],
)
def test_single_mistakes(line: str, expected: set[str]) -> None:
    assert variants(line, "// g.y\nT s = g.y;") == expected


@pytest.mark.parametrize(
    "line",
    [
        "// a + b",
        '#include "math/a.h"',
        "template <class T, int kSize = 4>",
        "static_assert(sizeof(T) == 4);",
        "const Vec3<T> r = f<T>(e);",
        "friend Dual operator+(const Dual& e, const Dual& s) {",
    ],
)
def test_what_is_no_formula_stays(line: str) -> None:
    assert variants(line) == set()
