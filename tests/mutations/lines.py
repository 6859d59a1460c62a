"""Which lines of the product each test executes, found by running the tests of one file under a tracer."""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

Lines = dict[str, set[int]]
PRODUCT = ("gsplat_core", "trainers")


class Tracer:
    """Collects the executed lines of the product's files, by file."""

    def __init__(self, root: Path) -> None:
        self._prefixes = tuple(f"{root / part}/" for part in PRODUCT)
        self._root = len(str(root)) + 1
        self._known: dict[CodeType, tuple[set[int], Any] | None] = {}
        self._touched: set[CodeType] = set()

    def start(self) -> None:
        threading.settrace(self)
        sys.settrace(self)

    def stop(self) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        try:
            known = self._known[code]
        except KeyError:
            known = self._known[code] = self._recorder(code)
        if known is None:
            return None
        known[0].add(frame.f_lineno)
        self._touched.add(code)
        return known[1]

    def _recorder(self, code: CodeType) -> tuple[set[int], Any] | None:
        if not code.co_filename.startswith(self._prefixes):
            return None
        lines: set[int] = set()
        touched = self._touched

        def local(frame: FrameType, event: str, argument: Any) -> Any:
            lines.add(frame.f_lineno)
            touched.add(code)
            return local

        return lines, local

    def take(self) -> Lines:
        """The lines since the last time."""
        result: Lines = defaultdict(set)
        for code in list(self._touched):
            known = self._known[code]
            if known:
                result[code.co_filename[self._root :]] |= known[0]
                known[0].clear()
        self._touched.clear()
        return result


def leave_out_cuda() -> None:
    """Tests skip when they come to the CUDA kernels, which are slow to emulate and show nothing of Python."""
    from cuda_on_cpu import operators

    def skip() -> None:
        pytest.skip("without the kernels of CUDA")

    operators.library = skip


class Recorder:
    """A plugin of pytest that gives each test that passes its lines and seconds.

    What a fixture of a larger scope executes belongs to every test that uses it, not to the first alone.
    """

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.tests: dict[str, dict[str, Any]] = {}
        self._owners: list[Lines] = [defaultdict(set)]
        self._fixtures: dict[str, Lines] = defaultdict(lambda: defaultdict(set))
        self._uses: dict[str, list[str]] = {}
        self._failed: set[str] = set()

    def _harvest(self) -> None:
        for file, lines in self.tracer.take().items():
            self._owners[-1][file] |= lines

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        self._harvest()
        self._owners.append(self._fixtures[fixturedef.argname])
        try:
            return (yield)
        finally:
            self._harvest()
            self._owners.pop()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        leave_out_cuda()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._harvest()
        own: Lines = defaultdict(set)
        self._owners.append(own)
        begin = time.process_time()
        try:
            return (yield)
        finally:
            self._harvest()
            self._owners.pop()
            self._uses[item.nodeid] = list(getattr(item, "fixturenames", ()))
            self.tests[item.nodeid] = {"seconds": time.process_time() - begin, "lines": own}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or (report.skipped and report.when != "teardown"):
            self._failed.add(report.nodeid)

    def result(self) -> dict[str, Any]:
        for test, used in self._uses.items():
            for fixture in used:
                for file, lines in self._fixtures.get(fixture, {}).items():
                    self.tests[test]["lines"][file] |= lines
        return {
            test: {
                "seconds": round(entry["seconds"], 3),
                "lines": {file: sorted(lines) for file, lines in entry["lines"].items()},
            }
            for test, entry in self.tests.items()
            if test not in self._failed
        }


def record(root: Path, test_file: str) -> dict[str, Any]:
    """By each test of the file that passes: its `seconds` and its `lines` by file."""
    tracer = Tracer(root)
    recorder = Recorder(tracer)
    tracer.start()
    try:
        pytest.main([test_file, "-q", "-p", "no:cacheprovider"], plugins=[recorder])
    finally:
        tracer.stop()
    return recorder.result()
