"""`gsplat-core doctor` tells the truth about this machine, and every problem comes with a remedy."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import imageio_ffmpeg
import pytest
import torch
from paths import ROOT

import gsplat_core
from gsplat_core.memory import memory_bytes
from gsplat_core.ops import library
from gsplat_core.render import scene
from trainers.commands import doctor
from trainers.machine import cores


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, printing JSON."""
    code = "import sys; from trainers.commands.doctor import doctor; sys.exit(doctor(json=True))"
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)


def test_the_facts_are_those_of_the_running_process() -> None:
    facts, _ = doctor.examine()
    assert facts["version"] == gsplat_core.__version__
    # The package's version may lack the suffix that names the CPU or CUDA build.
    assert torch.__version__.startswith(facts["packages"]["torch"])
    assert facts["library"]["path"] == str(library.PATH)
    assert facts["backend"]["instruction_set"] == torch.ops.gsplat_core.isa()
    assert facts["threads"]["used"] == torch.get_num_threads()
    assert facts["renders"] is True


def test_every_dependency_is_looked_at() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    dependencies = re.search(r"^dependencies = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    assert dependencies is not None
    names = re.findall(r'"([\w.-]+)', dependencies[1])
    if sys.version_info >= (3, 14):
        names.remove("backports.zstd")
    assert names == list(doctor.PACKAGES)


def test_prints_one_line_per_fact_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.doctor()
    text = capsys.readouterr().out
    for word in ("instruction set", "threads", "memory", "ffmpeg", torch.ops.gsplat_core.isa()):
        assert word in text
    doctor.doctor(json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["threads"]["cores"] == cores()


def test_a_missing_package_is_serious(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_it(name: str) -> str:
        if name == "rich":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", without_it)
    assert doctor.doctor() == 1
    assert "pip install rich" in capsys.readouterr().out


def test_no_ffmpeg_is_a_note(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    assert doctor.doctor() == 0
    assert "install ffmpeg" in capsys.readouterr().out


def test_a_wrong_image_is_serious(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(*arguments: object) -> SimpleNamespace:
        return SimpleNamespace(alphas=torch.tensor([0.5]))

    monkeypatch.setattr(scene, "render", wrong)
    assert doctor.doctor() == 1
    assert "opacity 0.75 came out with 0.5" in capsys.readouterr().out


def test_operators_that_cannot_be_loaded_are_serious() -> None:
    result = run(GSPLAT_LIBRARY="/nowhere/_ops.abi3.so")
    assert result.returncode == 1
    assert result.stderr == ""
    facts = json.loads(result.stdout)
    assert facts["library"] is None
    assert "/nowhere/_ops.abi3.so" in facts["problems"][0]["problem"]
    assert "make build" in facts["problems"][0]["remedy"]


@pytest.mark.skipif(torch.ops.gsplat_core.available_isas() == torch.ops.gsplat_core.isa(), reason="one only")
def test_a_lesser_instruction_set_is_noted() -> None:
    result = run(GSPLAT_ISA=torch.ops.gsplat_core.available_isas().split()[0])
    assert result.returncode == 0, result.stderr
    assert "unset GSPLAT_ISA" in [problem["remedy"] for problem in json.loads(result.stdout)["problems"]]


def test_an_unknown_instruction_set_is_serious() -> None:
    result = run(GSPLAT_ISA="sse9")
    assert result.returncode == 1
    assert "sse9" in json.loads(result.stdout)["problems"][0]["problem"]


def test_too_few_threads_are_noted() -> None:
    if cores() == 1:
        pytest.skip("one core")
    facts = json.loads(run(OMP_NUM_THREADS="1").stdout)
    assert facts["threads"]["used"] == 1
    assert "unset OMP_NUM_THREADS" in [problem["remedy"] for problem in facts["problems"]]


def test_memory_is_counted_in_bytes_and_free_memory_is_less_than_all() -> None:
    total, free = memory_bytes()
    assert total > 2**26
    assert free is None or 0 <= free <= total


def problems_of(check: Callable[[list[doctor.Problem]], object]) -> list[str]:
    problems: list[doctor.Problem] = []
    check(problems)
    assert not any(problem.serious for problem in problems)
    return [problem.problem for problem in problems]


def test_little_memory_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    gib = 2**30
    for free, noted in ((int(1.5 * gib), True), (2 * gib - 1, True), (2 * gib, False), (None, False)):
        monkeypatch.setattr(doctor, "memory_bytes", lambda free=free: (8 * gib, free))
        assert doctor._memory([]) == {"total_bytes": 8 * gib, "free_bytes": free}
        found = problems_of(doctor._memory)
        assert [re.search(r"[\d.]+ GiB", text)[0] for text in found] == (  # type: ignore[index]
            [f"{free / gib:.1f} GiB"] if noted and free else []
        )


def test_a_disk_that_is_nearly_full_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, noted in ((2**30, True), (2**31 - 1, True), (2**31, False)):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        assert doctor._disk([])["free_bytes"] == free
        assert bool(problems_of(doctor._disk)) is noted


@pytest.mark.parametrize(
    ("used", "limit", "remedies"),
    [
        (4, None, []),
        (5, None, ["export OMP_NUM_THREADS=4"]),
        (3, "3", ["unset OMP_NUM_THREADS"]),
        (3, None, []),
    ],
)
def test_threads_are_compared_with_the_cores(
    monkeypatch: pytest.MonkeyPatch, used: int, limit: str | None, remedies: list[str]
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: used)
    monkeypatch.setattr(doctor, "cores", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if limit:
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
    problems: list[doctor.Problem] = []
    assert doctor._threads(problems) == {"used": used, "cores": 4, "OMP_NUM_THREADS": limit}
    assert [problem.remedy for problem in problems] == remedies


def test_a_picture_a_little_wrong_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    for off, right in ((0.0, True), (9e-6, True), (1.2e-5, False), (-1.2e-5, False)):
        alphas = torch.tensor(0.75 + off, dtype=torch.float64)
        monkeypatch.setattr(scene, "render", lambda *_, alphas=alphas, **__: SimpleNamespace(alphas=alphas))
        problems: list[doctor.Problem] = []
        assert doctor._renders(problems) is right
        assert [problem.serious for problem in problems] == ([] if right else [True])
