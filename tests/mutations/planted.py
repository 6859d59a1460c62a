"""Whether the tests notice a planted mistake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

# The fixtures of ``tests/math`` that compile the formulas, the quick one first, with their sources.
LIBRARIES = {"function": "functions.cpp", "formulas": "formulas.cpp"}


class _Chosen:
    """A plugin of pytest that runs the chosen tests, or files of tests, in their order, and tells the first
    failure."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: i for i, test in enumerate(tests)}
        self.ran = 0
        self.failure: str | None = None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        def place(item: pytest.Item) -> int | None:
            return self._order.get(item.nodeid, self._order.get(item.nodeid.split("::")[0]))

        items[:] = sorted(
            (item for item in items if place(item) is not None), key=lambda item: place(item) or 0
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._tell(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran += report.when == "call"
        if report.failed:
            self._tell(report)

    def _tell(self, report: Any) -> None:
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash else str(report.longrepr).strip().split("\n")[-1]
        self.failure = self.failure or f"{report.nodeid}: {' '.join(message.split())[:160]}"


def first_failure(groups: Iterable[Sequence[str]]) -> dict[str, Any]:
    """Runs groups of tests until one fails: `failure`, None where all pass, and how many `ran`."""
    ran = 0
    for group in groups:
        chosen = _Chosen(group)
        files = list(dict.fromkeys(test.split("::")[0] for test in group))
        status = pytest.main([*files, "-x", "-q", "-p", "no:cacheprovider"], plugins=[chosen])
        ran += chosen.ran
        if chosen.failure is not None:
            return {"failure": chosen.failure, "ran": ran}
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return {"failure": f"pytest ended with {pytest.ExitCode(status).name}", "ran": ran}
    return {"failure": None, "ran": ran}


class _Failures:
    """A plugin of pytest that runs the chosen tests and tells all that fail."""

    def __init__(self, tests: Iterable[str]) -> None:
        self._chosen = set(tests)
        self.failed: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._chosen]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


def failing(tests: Sequence[str]) -> list[str]:
    """Those of some tests that fail."""
    failures = _Failures(tests)
    files = sorted({test.split("::")[0] for test in tests})
    pytest.main([*files, "-q", "-p", "no:cacheprovider"], plugins=[failures])
    return failures.failed


class _OfLibraries(_Chosen):
    """Runs the tests that use one of some fixtures, in their order, and the tests without any."""

    def __init__(self, fixtures: Sequence[str]) -> None:
        super().__init__(())
        self._fixtures = fixtures

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        def first(item: pytest.Item) -> int | None:
            used = [f for f in LIBRARIES if f in getattr(item, "fixturenames", ())]
            return next((i for i, fixture in enumerate(self._fixtures) if fixture in used), None)

        items[:] = sorted(
            (item for item in items if first(item) is not None), key=lambda item: first(item) or 0
        )


def first_failure_of_math(fixtures: Sequence[str]) -> dict[str, Any]:
    """The first failure of the tests in ``tests/math`` that use a library in which a header is compiled."""
    chosen = _OfLibraries(fixtures)
    status = pytest.main(["tests/math", "-x", "-q", "-p", "no:cacheprovider"], plugins=[chosen])
    if chosen.failure is None and status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        chosen.failure = f"pytest ended with {pytest.ExitCode(status).name}"
    return {"failure": chosen.failure, "ran": chosen.ran}
