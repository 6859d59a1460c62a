"""Trainers that know nothing of us, started with one more line, train."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

PROGRAMS = Path(__file__).parent / "programs"


def run(program: str, argument: str) -> tuple[list[float], list[int], int]:
    """The losses of its steps, the Gaussians after each, and its last number."""
    packages = ("gsplat", "diff_gaussian_rasterization", "simple_knn", "fused_ssim")
    begin = f"from gsplat_core.compat import install_as; [install_as(name) for name in {packages}]; "
    path = PROGRAMS / f"{program}.py"
    code = (
        begin
        + f"import runpy, sys; sys.argv[1:] = [{argument!r}]; runpy.run_path({str(path)!r}, None, '__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{PROGRAMS}:{ROOT}"},
    )
    assert done.returncode == 0, done.stderr
    steps = [line.split() for line in done.stdout.splitlines() if line.startswith("loss ")]
    kept = int(done.stdout.split()[-1])
    return [float(loss) for _, loss, _ in steps], [int(count) for _, _, count in steps], kept


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_a_trainer_for_gsplat_trains(strategy: str) -> None:
    losses, counts, kept = run("gsplat_trainer", strategy)
    assert sum(losses[-6:]) < 0.5 * sum(losses[:6])
    assert counts[-1] > counts[0]
    assert kept == int(counts[-1] ** 0.5) ** 2


@pytest.mark.parametrize("generation", ["2023", "2024"])
def test_a_trainer_for_inrias_rasterizer_trains(generation: str) -> None:
    losses, counts, kept = run("inria_trainer", generation)
    assert sum(losses[-6:]) < 0.5 * sum(losses[:6])
    assert 0 < kept <= counts[-1]
