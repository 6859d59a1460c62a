"""Do the tests notice single mistakes? ``make mutations``; ``--help`` tells the options."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch  # noqa: F401  (loaded once, for all children)
from formulas import compilation
from paths import ROOT

from mutations.child import Child, Outcome
from mutations.cpp_mistakes import cpp_mistakes
from mutations.equivalent import Equivalent
from mutations.lines import PRODUCT, record
from mutations.mistake import Mistake, line_text
from mutations.planted import LIBRARIES, failing, first_failure, first_failure_of_math
from mutations.python_mistakes import python_mistakes
from mutations.related import KnownTests, product_files, test_files
from mutations.sample import sample
from mutations.tree import Tree

GOAL = 0.95
SHARE_OF_MATH = 0.25
FIRST_BUDGET, BUDGET = 60.0, 20.0  # seconds of the first and of each other group of `KnownTests.related`
FOLDER = ROOT / "build" / "mutations"
Task = tuple[Any, Callable[[], Any], float]


def parallel(trees: Sequence[Tree], tasks: Iterable[Task], plant: bool) -> Iterator[tuple[Any, Outcome]]:
    """Runs tasks, one in each tree at a time: (what to report it by, work, seconds)."""
    running: dict[int, tuple[Any, Child, Any]] = {}
    waiting = iter(tasks)
    exhausted = False
    while running or not exhausted:
        for slot, tree in enumerate(trees):
            if slot not in running and not exhausted:
                task = next(waiting, None)
                if task is None:
                    exhausted = True
                    break
                subject, work, seconds = task
                planted = tree.with_mistake(subject) if plant else None
                if planted:
                    planted.__enter__()
                running[slot] = (
                    subject,
                    Child(tree, work, seconds, tree.folder.with_suffix(".log")),
                    planted,
                )
        for slot, (subject, child, planted) in list(running.items()):
            outcome = child.outcome()
            if outcome is not None:
                if planted:
                    planted.__exit__(None, None, None)
                del running[slot]
                yield subject, outcome
        time.sleep(0.02)


def measured(tests: KnownTests, trees: Sequence[Tree], fresh: bool) -> None:
    """Brings what is known of the tests up to date."""
    unknown = test_files(tests.root) if fresh else tests.load()
    tasks = ((file, partial(record, trees[0].folder, file), 1200.0) for file in unknown)
    for file, outcome in parallel(trees[:1], tasks, plant=False):
        if outcome.value is None:
            print(f"{file}: {outcome.ended_by}; its tests are left out", flush=True)
        else:
            tests.keep(file, outcome.value)
            print(f"{file}: {len(outcome.value)} tests", flush=True)


def within_budget(tests: KnownTests, group: Sequence[str], budget: float) -> list[str]:
    """The first of the tests, the quick ones, that take no longer than the budget together."""
    until = accumulate(tests.seconds([test]) for test in group)
    return [test for test, seconds in zip(group, until, strict=True) if seconds <= budget]


def importable() -> bool:
    importlib.import_module("trainers.cli")
    return True


def check_import(tree: Tree) -> None:
    """Ends if the product cannot even be imported: every mistake would seem to be noticed."""
    log = tree.folder.with_suffix(".log")
    if Child(tree, importable, 100.0, log).wait().value is None:
        raise SystemExit(f"the product cannot be imported:\n{log.read_text()}")


def python_tasks(tests: KnownTests, mistakes: Sequence[Mistake]) -> Iterator[Task]:
    for mistake in mistakes:
        groups = [
            within_budget(tests, group, FIRST_BUDGET if i == 0 else BUDGET)
            for i, group in enumerate(tests.related(mistake.file, mistake.line))
        ]
        seconds = 30 + 4 * sum(map(tests.seconds, groups))
        yield mistake, partial(first_failure, groups), seconds


def math_tasks(mistakes: Sequence[Mistake]) -> Iterator[Task]:
    included = {fixture: _headers(source) for fixture, source in LIBRARIES.items()}
    for mistake in mistakes:
        fixtures = [fixture for fixture, headers in included.items() if mistake.file in headers]
        yield mistake, partial(first_failure_of_math, fixtures), 120.0


def _headers(source: str) -> set[str]:
    """The headers of csrc that a source of ``tests/math`` includes, directly or not."""
    command = [*compilation(source), "-MM"]
    rule = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"\bcsrc/[\w/]+\.h\b", rule))


class Report:
    """The results as they come, and the table at the end."""

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._root = root
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("")
        self.verdicts: Counter[tuple[str, str]] = Counter()
        self.noticed_by: dict[str, list[str]] = defaultdict(list)
        self.survivors: list[str] = []

    def add(self, mistake: Mistake, outcome: Outcome) -> None:
        text = (self._root / mistake.file).read_text()
        place = f"{mistake.file}:{mistake.line}"
        what = f"{place}  {mistake.kind}: {mistake.change(text)}\n    {line_text(text, mistake.line)}"
        if outcome.ended_by is not None:
            verdict, because = "noticed", outcome.ended_by
        elif outcome.value["failure"] is None:
            verdict, because = "not noticed", f"{outcome.value['ran']} tests ran"
            self.survivors.append(what)
        elif "CalledProcessError" in outcome.value["failure"]:
            verdict, because = "no mistake", "does not compile"
        else:
            verdict, because = "noticed", outcome.value["failure"]
        part = "csrc/math" if mistake.file.startswith("csrc") else mistake.file.split("/")[0]
        if verdict == "noticed" and outcome.value is not None:
            self.noticed_by[outcome.value["failure"].split(": ")[0]].append(part)
        self.verdicts[part, verdict] += 1
        with self._path.open("a") as file:
            entry = {
                "file": mistake.file,
                "line": mistake.line,
                "kind": mistake.kind,
                "change": mistake.change(text),
            }
            file.write(json.dumps({**entry, "verdict": verdict, "because": because}) + "\n")
        print(f"{verdict:12} {what}\n    {because}", flush=True)

    def take_back(self, failing: Iterable[str]) -> None:
        """What a test noticed that fails without any mistake, too, was not noticed."""
        for test in failing:
            for part in self.noticed_by[test]:
                self.verdicts[part, "noticed"] -= 1
                self.verdicts[part, "no mistake"] += 1
            print(f"{test} fails without a mistake: its {len(self.noticed_by[test])} do not count")

    def end(self) -> bool:
        """Prints the table; returns whether the goal is reached."""
        print(f"\n{'':14}{'planted':>10}{'noticed':>10}{'share':>9}   (and no mistakes)")
        total, caught = 0, 0
        for part in sorted({part for part, _ in self.verdicts}):
            noticed, missed = self.verdicts[part, "noticed"], self.verdicts[part, "not noticed"]
            total, caught = total + noticed + missed, caught + noticed
            share = noticed / max(noticed + missed, 1)
            none = self.verdicts[part, "no mistake"]
            print(f"{part:14}{noticed + missed:10}{noticed:10}{share:9.1%}   ({none})")
        share = caught / max(total, 1)
        print(f"{'together':14}{total:10}{caught:10}{share:9.1%}   (the goal is {GOAL:.0%})")
        for survivor in self.survivors:
            print(f"\nnot noticed: {survivor}")
        return share >= GOAL


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mutations", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--count", type=int, default=200, help="how many mistakes in Python and csrc/math")
    parser.add_argument("--only", choices=("barriers", "python", "math"), help="one of the three parts")
    parser.add_argument(
        "--files", default="", help="only files that have this in their names, separated by commas"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many mistakes at a time")
    parser.add_argument("--fresh", action="store_true", help="find out again which tests execute which lines")
    return parser.parse_args()


def drawn(chosen: argparse.Namespace, equivalent: Equivalent) -> list[Mistake]:
    """The sample, without what is no mistake."""
    wanted = chosen.files.split(",")
    parts = {
        "python": ([ROOT / file for file in product_files(ROOT)], python_mistakes),
        "math": (sorted((ROOT / "csrc" / "math").rglob("*.h")), cpp_mistakes),
    }
    result = []
    for part, (paths, find) in parts.items():
        if chosen.only in (None, part):
            share = 1.0 if chosen.only else SHARE_OF_MATH if part == "math" else 1 - SHARE_OF_MATH
            names = {path.relative_to(ROOT).as_posix(): path for path in paths}
            texts = {name: path.read_text() for name, path in names.items() if any(w in name for w in wanted)}
            mistakes = {
                name: [m for m in find(name, text) if equivalent.reason(m, text) is None]
                for name, text in texts.items()
            }
            result += sample(mistakes, round(chosen.count * share), chosen.seed)
    return result


def main() -> int:
    chosen = options()
    # Tests that want photographs from elsewhere skip: the share is the same on every machine.
    os.environ["GSPLAT_TEST_DATA"] = "/nowhere"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if loaded := [name for name in sys.modules if name.split(".")[0] in PRODUCT]:
        raise SystemExit(f"children would not see mistakes in what is loaded: {', '.join(loaded)}")
    begin = time.monotonic()
    good = True
    if chosen.only in (None, "barriers"):
        # In a process of its own: children have to find nothing of the product loaded.
        good &= subprocess.run([sys.executable, "-m", "cuda_on_cpu.mutations"], cwd=ROOT).returncode == 0
    if chosen.only != "barriers":
        equivalent = Equivalent()
        mistakes = drawn(chosen, equivalent)
        with tempfile.TemporaryDirectory() as folder:
            trees = [Tree(Path(folder) / f"tree{i}") for i in range(chosen.jobs)]
            report = Report(FOLDER / f"report_{chosen.only}_{chosen.seed}.jsonl", trees[0].folder)
            check_import(trees[0])
            tests = KnownTests(trees[0].folder, FOLDER / "lines")
            python = [m for m in mistakes if m.file.endswith(".py")]
            if python:
                measured(tests, trees, chosen.fresh)
            math = [m for m in mistakes if not m.file.endswith(".py")]
            for tasks in (python_tasks(tests, python), math_tasks(math)):
                for mistake, outcome in parallel(trees, tasks, plant=True):
                    report.add(mistake, outcome)
            tests_that_failed = sorted(test for test in report.noticed_by if "::" in test)
            check = [(None, partial(failing, tests_that_failed), 3600.0)]
            for _, outcome in parallel(trees[:1], check, plant=False):
                report.take_back(outcome.value or ())
        for entry in equivalent.stale(ROOT):
            print(f"equivalent.json names a line that is not there: {entry}")
        good &= report.end()
    print(f"{time.monotonic() - begin:.0f} s")
    return not good


if __name__ == "__main__":
    sys.exit(main())
