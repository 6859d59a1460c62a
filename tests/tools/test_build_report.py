"""The figures of the build and their budgets: tools/build_report.py."""

from __future__ import annotations

import json
from pathlib import Path

import build_report
import pytest
from build_report import COMPILERS, REFERENCE

HEADER = build_report.build_ops.CSRC / "math" / "response" / "generalized.h"
OWN = "cpu_kernels_response_levels.generalized.avx2.o"
DEPS = f"""{OWN}: #deps 3, deps mtime 17 (VALID)
    /csrc/levels.cpp
    {HEADER}

ops_adam.o: #deps 2, deps mtime 18 (VALID)
    /csrc/ops/adam.cpp
    {HEADER}.bak

"""


def test_what_a_header_is_a_part_of() -> None:
    assert build_report.objects_with(HEADER, DEPS) == [OWN]
    assert build_report.objects_with(HEADER, DEPS.replace(".bak", "")) == [OWN, "ops_adam.o"]


def test_objects_of_others_are_named() -> None:
    assert build_report.foreign([OWN, "ops_adam.o"], "generalized") == ["ops_adam.o"]
    assert build_report.foreign([OWN, "ops_adam.o"], "gaussian") == []


@pytest.mark.parametrize(
    ("cost", "known"),
    [
        ({"cuda": False, "isas": list(build_report.build_ops.ISA_FLAGS)}, True),
        ({"cuda": True, "isas": list(build_report.build_ops.ISA_FLAGS)}, False),
        ({"cuda": False, "isas": []}, False),
    ],
)
def test_only_builds_of_everything_but_cuda_count(
    cost: dict[str, object], known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_report, "RELEASE", tmp_path)
    assert build_report.recorded() is None
    (tmp_path / "cost.json").write_text(json.dumps({"cpu_seconds": 12.5, **cost}))
    assert build_report.recorded() == (12.5 if known else None)


def measured(
    monkeypatch: pytest.MonkeyPatch, speed: float, full: float = 300, change: float = 15, size: float = 5
) -> None:
    """A machine of this speed, on which the reference's seconds are these."""
    monkeypatch.setattr(build_report, "calibrate", lambda: REFERENCE / speed)
    monkeypatch.setattr(build_report, "recorded", lambda: 0.999 * full / speed)
    monkeypatch.setattr(build_report, "rebuild", lambda _: ([OWN], COMPILERS * 0.999 * change / speed, 1.0))
    monkeypatch.setattr(build_report, "library_size", lambda: 0.999e6 * size)


@pytest.mark.parametrize("speed", [0.25, 1.0, 3.0])
def test_budgets_are_for_every_machine(
    speed: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(monkeypatch, speed)
    build_report.main(check=True)
    assert "No figure exceeds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "named"),
    [({"full": 602}, "from nothing"), ({"change": 24.1}, "generalized.h"), ({"size": 10.6}, "library")],
)
def test_what_exceeds_its_budget_is_an_error(
    more: dict[str, float],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured(monkeypatch, 2.0, **more)
    with pytest.raises(SystemExit) as ended:
        build_report.main(check=True)
    assert ended.value.code == 1
    assert named in capsys.readouterr().out.splitlines()[-1]


def test_an_unknown_response_is_refused() -> None:
    with pytest.raises(SystemExit, match="only gaussian, generalized"):
        build_report.main(response="square")
