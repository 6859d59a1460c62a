"""The same seed gives the same run: random numbers come from generators that somebody seeds, and what is
equal keeps its order when it is sorted. Of the text of all files, since luck hides what is missing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from paths import ROOT

FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for part in ("gsplat_core", "trainers")
    for path in (ROOT / part).rglob("*.py")
)
RANDOM = frozenset(
    ["rand", "randn", "randint", "randperm", "multinomial", "bernoulli", "uniform_", "normal_"]
)
# What is measured there does not depend on the numbers.
ANY_NUMBERS = "trainers/benchmark/ceiling.py"


def calls(file: str) -> Iterator[tuple[str, ast.Call, ast.AST | None]]:
    """The calls of methods and of functions of modules: name, call, and what is around it."""
    tree = ast.parse((Path(ROOT) / file).read_text())
    around = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node, around.get(node)


def has(call: ast.Call, name: str) -> bool:
    return any(keyword.arg == name for keyword in call.keywords)


def places(wrong: Callable[[str, ast.Call, ast.AST | None], bool]) -> list[str]:
    return [
        f"{file}:{call.lineno}"
        for file in FILES
        for name, call, parent in calls(file)
        if wrong(name, call, parent) and file != ANY_NUMBERS
    ]


def test_random_numbers_come_from_generators() -> None:
    assert places(lambda name, call, _: name in RANDOM and not has(call, "generator")) == []


def test_generators_are_seeded_where_they_are_made() -> None:
    def unseeded(name: str, call: ast.Call, parent: ast.AST | None) -> bool:
        if name == "default_rng":
            return not call.args
        seeded = isinstance(parent, ast.Attribute) and parent.attr == "manual_seed"
        return name == "Generator" and not seeded

    assert places(unseeded) == []


def test_equal_rows_keep_their_order() -> None:
    """Of sorted values alone nothing shows."""

    def unstable(name: str, call: ast.Call, parent: ast.AST | None) -> bool:
        if name not in ("sort", "argsort") or ast.unparse(call.func).startswith("np."):
            return False
        stable = "stable=True" in map(ast.unparse, call.keywords)
        return not stable and not (isinstance(parent, ast.Attribute) and parent.attr == "values")

    assert places(unstable) == []
