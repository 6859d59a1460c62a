"""tools/static_report/ceilings.py: what counts as worse."""

from __future__ import annotations

from pathlib import Path

import pytest
from cuda_on_cpu.operators import CSRC, kernel_sources
from cuda_on_cpu.translate import kernels

from tools.static_report import ceilings

KNOWN: ceilings.Figures = {
    "90": {"blend<3>": {"registers": 40, "occupancy": 0.75, "threads": 128, "instructions": 100}},
    "reference frame": {"blend<3>": {"slots per pixel": 76.0}},
}


@pytest.mark.parametrize(
    ("group", "changed", "problem"),
    [
        ("90", {"registers": 40, "occupancy": 0.8, "threads": 256, "instructions": 105}, None),
        ("90", {"registers": 41}, "sm_90 blend<3>: registers 41, ceiling 40"),
        ("90", {"occupancy": 0.7}, "sm_90 blend<3>: occupancy 0.7, ceiling 0.75"),
        ("90", {"instructions": 106}, "sm_90 blend<3>: instructions 106, ceiling 100"),
        ("90", {"spilled bytes": 4}, "sm_90 blend<3>: spilled bytes 4, ceiling 0"),
        ("reference frame", {"slots per pixel": 76.1}, None),
        (
            "reference frame",
            {"slots per pixel": 77},
            "reference frame blend<3>: slots per pixel 77, ceiling 76",
        ),
    ],
)
def test_more_work_or_lower_occupancy_is_worse(
    group: str, changed: dict[str, float], problem: str | None
) -> None:
    assert ceilings.compare({group: {"blend<3>": changed}}, KNOWN) == ([] if problem is None else [problem])


def test_kernels_that_come_or_go_are_named() -> None:
    assert ceilings.compare({"90": {"blend<4>": {}}}, KNOWN) == [
        "sm_90 blend<3> has a ceiling but is not there (--update writes them)",
        "sm_90 blend<4> has no ceiling (--update writes them)",
    ]


def test_every_kernel_of_the_sources_has_ceilings() -> None:
    sources = [*kernel_sources(), *CSRC.glob("cuda/**/*.cuh")]
    defined = {name for source in sources for name in kernels(source.read_text())}
    for architecture, figures in ceilings.read().items():
        if architecture.isdigit():
            assert {name.split("<")[0] for name in figures} == defined


def test_writing_one_group_keeps_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "PATH", tmp_path / "ceilings.json")
    ceilings.PATH.write_text("{}")
    ceilings.write(KNOWN)
    ceilings.write({"reference frame": {"blend<3>": {"slots per pixel": 70.0}}})
    assert ceilings.read() == {**KNOWN, "reference frame": {"blend<3>": {"slots per pixel": 70.0}}}
