"""Which tests concern a line: those that execute it, those of the file of the same name first."""

from __future__ import annotations

import ast
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mutations.functions import HEAD, OUTSIDE, Place, places
from mutations.lines import PRODUCT

# These compile, fetch or document things, or test the tools: none concerns a line of the product alone.
_LEFT_OUT = (
    "build",
    "cuda_on_cpu",
    "interop",
    "math",
    "mutations",
    "tools",
    "test_docs.py",
    "test_readme.py",
    "test_sample_scene.py",
)

# These read the text of all files.
_OF_ALL_FILES = "tests/test_reproducible.py::"

UNRECORDED = 30.0  # seconds that a file of unrecorded tests may take


def test_files(root: Path) -> list[str]:
    files = (path.relative_to(root) for path in sorted((root / "tests").rglob("test_*.py")))
    return [file.as_posix() for file in files if file.parts[1] not in _LEFT_OUT]


def product_files(root: Path) -> list[str]:
    return sorted(
        path.relative_to(root).as_posix() for part in PRODUCT for path in (root / part).rglob("*.py")
    )


def mirrored(file: str) -> str:
    """The tests of a file of the product by its name, whether they exist or not."""
    path = PurePosixPath(file)
    parts = path.parts[1:-1] if path.parts[0] == "gsplat_core" else path.parts[:-1]
    name = path.parent.name if path.name == "__init__.py" else path.stem
    return str(PurePosixPath("tests", *parts, f"test_{name}.py"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@dataclass
class KnownTest:
    """A test: its processor time, and the steps of each function it executes by file and function."""

    seconds: float
    steps: dict[str, dict[str, set[int]]]


@dataclass
class KnownTests:
    """What is known of the tests of all files; kept in a folder and brought up to date file by file."""

    root: Path
    folder: Path
    tests: dict[str, KnownTest] = field(default_factory=dict)
    _digests: dict[str, dict[str, str]] = field(default_factory=dict)
    _sources: dict[str, dict[int, Place]] = field(default_factory=dict)
    _current: dict[str, str] = field(default_factory=dict)

    def places(self, file: str) -> dict[int, Place]:
        if file not in self._sources:
            self._sources[file] = places((self.root / file).read_text())
        return self._sources[file]

    def _path(self, test_file: str) -> Path:
        return self.folder / f"{test_file.replace('/', '.')}.json"

    def load(self) -> list[str]:
        """Reads what is known; returns the test files that are new or have changed since."""
        unknown = []
        for test_file in test_files(self.root):
            path = self._path(test_file)
            entry = json.loads(path.read_text()) if path.exists() else {}
            if entry.get("digest") != digest(self.root / test_file):
                unknown.append(test_file)
            else:
                self._add(test_file, entry)
        return unknown

    def _add(self, test_file: str, entry: dict[str, Any]) -> None:
        self._digests[test_file] = entry["sources"]
        for test, known in entry["tests"].items():
            steps = {
                file: {function: set(steps) for function, steps in functions.items()}
                for file, functions in known["steps"].items()
            }
            self.tests[test] = KnownTest(known["seconds"], steps)

    def keep(self, test_file: str, recorded: dict[str, Any]) -> None:
        """Takes up what `lines.record` found."""
        sources: set[str] = set()
        tests = {}
        for test, known in recorded.items():
            steps: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
            for file, lines in known["lines"].items():
                sources.add(file)
                for line in lines:
                    place = self.places(file).get(line)
                    if place is not None and place.function != OUTSIDE:
                        steps[file][place.function].add(place.step)
            tests[test] = {
                "seconds": known["seconds"],
                "steps": {
                    file: {function: sorted(steps) for function, steps in functions.items()}
                    for file, functions in steps.items()
                },
            }
        entry = {
            "digest": digest(self.root / test_file),
            "sources": {file: digest(self.root / file) for file in sorted(sources)},
            "tests": tests,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path(test_file).write_text(json.dumps(entry, separators=(",", ":")))
        self._add(test_file, entry)

    def related(self, file: str, line: int) -> list[list[str]]:
        """The tests that concern a line, in groups to be run one after the other, the quick ones first."""
        place = self.places(file).get(line, Place(OUTSIDE, 0))
        own = mirrored(file)
        executing = {test for test in self.tests if self._executes(test, file, place)}
        if place.function == OUTSIDE:
            users = list(self._users(file))
            executing |= {
                test for test, known in self.tests.items() if any(user in known.steps for user in users)
            }
        beside = {test for test in self.tests if test.startswith(f"{own}::")}
        reading = {test for test in self.tests if test.startswith(_OF_ALL_FILES)}
        groups = [executing & beside, executing - beside, beside - executing, reading]
        found = [self._quick_first(group) for group in groups if group]
        # Of a file whose tests could not be recorded, all are run.
        unrecorded = own not in self._digests and (self.root / own).exists()
        return [[own], *found] if unrecorded else found

    def _executes(self, test: str, file: str, place: Place) -> bool:
        functions = self.tests[test].steps.get(file)
        if functions is None:
            return False
        if place.function == OUTSIDE:
            return True
        steps = functions.get(place.function)
        if steps is None or place.step == HEAD:
            return steps is not None
        if file not in self._current:
            self._current[file] = digest(self.root / file)
        known = self._digests[test.split("::")[0]].get(file)
        return place.step in steps or known != self._current[file]

    def _users(self, file: str) -> Iterator[str]:
        """The files that import something from a file."""
        module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for other in product_files(self.root):
            tree = ast.parse((self.root / other).read_text())
            imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
            if module in imported:
                yield other

    def _quick_first(self, tests: Iterable[str]) -> list[str]:
        return sorted(tests, key=lambda test: (self.tests[test].seconds, test))

    def seconds(self, tests: Iterable[str]) -> float:
        return sum(self.tests[test].seconds if test in self.tests else UNRECORDED for test in tests)
