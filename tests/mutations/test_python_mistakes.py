"""Which mistakes are found in a piece of Python, and that they are the only change of its text."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest
from paths import ROOT

from mutations.python_mistakes import python_mistakes


def variants(text: str) -> set[str]:
    text = dedent(text).strip()
    return {mistake.applied(text) for mistake in python_mistakes("file.py", text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v = a < g", {"v = a <= g"}),
        ("v = e < 1 / 255", {"v = e < 2 / 255", "v = e < 1 / 256", "v = e > 1 / 255", "v = e < 1 * 255"}),
        ("v = e >= -0.5", {"v = e < -0.5", "v = e >= -0.45"}),
        ("v = e < 1.0", {"v = e <= 1.0", "v = e < 0.9"}),
        ("SHARE = 0.5\nv = e <= SHARE", {"SHARE = 5.0\nv = e <= SHARE", "SHARE = 0.5\nv = e > SHARE"}),
        ("MOST = 12", {"MOST = 120"}),
        ("MOST_BYTES = 64_000", {"MOST_BYTES = 640000"}),
        ("_SHARE = 0.05", {"_SHARE = 0.5"}),
        ("SIZE = 1 << 16", {"SIZE = 2 << 16", "SIZE = 1 << 17", "SIZE = 1 >> 16"}),
        ("v = 0.95 + e", {"v = 0.855 + e", "v = 0.95 - e"}),
        ("v = e is not (g)", {"v = e is (g)"}),
        ("v = e not in g", {"v = e in g"}),
        ("v = e if g and not h else k", {"v = e if g or not h else k", "v = e if g and h else k"}),
        ("v = e[1:]", {"v = e[2:]"}),
        ("v = min(e)", {"v = max(e)"}),
        ("v = f(e, g.h)", {"v = f(g.h, e)"}),
        ("v = math.hypot(e, g.h)", set()),
        ("v = f(n=g)", {"v = f()"}),
        ("v = f(n=g, m=h)", {"v = f(m=h)", "v = f(n=g, )"}),
        ("v = (e).clamp(min=g)", {"v = (e)", "v = (e).clamp()"}),
        ("v = -(e * g)", {"v = (e * g)", "v = -(e / g)"}),
        ("v += w", {"v -= w"}),
        ("v = e.fx * e.fy", {"v = e.fy * e.fy", "v = e.fx * e.fx", "v = e.fx / e.fy"}),
        ("v = True", {"v = False"}),
        ("v = (  # e + g\n    e - g)", {"v = (  # e + g\n    e + g)"}),
        ("if ready(e):\n    v = e", {"if not ready(e):\n    v = e"}),
        ("advance(e)", {"pass"}),
    ],
)
def test_single_mistakes(text: str, expected: set[str]) -> None:
    assert variants(text) == expected


def test_names_are_swapped_where_both_are_known() -> None:
    assert "return height" in str(variants("def f(width, height):\n    return width"))
    assert variants("def f(width):\n    return width") == set()


@pytest.mark.parametrize(
    "words",
    [
        '"""A docstring of 3 < 4."""',
        'raise ValueError(f"{1 + 2}")',
        "def f(x: int | None) -> int | None: ...",
        "@dataclass(frozen=True)\nclass A:\n    x: int",
        "def __repr__(self):\n    return str(1 + 2)",
        "print(1 + 2)",
        "assert x is not None",
        "Name = int | None",
        "class Settings:\n    rate: float = 0.3",
        'path = folder / "name"',
        "v = f(device=e)",
        "if TYPE_CHECKING:\n    x = 1",
    ],
)
def test_words_and_types_stay(words: str) -> None:
    assert variants(words) == set()


@pytest.mark.parametrize(
    "file", ["trainers/loop.py", "gsplat_core/io/spz.py", "gsplat_core/scene/dataset.py"]
)
def test_files_with_mistakes_are_python(file: str) -> None:
    text = (ROOT / file).read_text()
    found = python_mistakes(file, text)
    assert len(found) > 100
    for mistake in found:
        wrong = mistake.applied(text)
        assert wrong != text
        assert wrong.count("\n") <= text.count("\n")
        ast.parse(wrong)
