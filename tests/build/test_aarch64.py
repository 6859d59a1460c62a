"""Kernels of the CPU backend on another architecture: cross-compiled, and run by an emulator.

Debian has both: `apt install g++-aarch64-linux-gnu qemu-user`. Without them the test is skipped.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT

CSRC = ROOT / "csrc"
KERNELS = ("kmeans", "activations")
FLAGS = ["-std=c++20", "-O1", "-fno-math-errno", "-fno-trapping-math", f"-I{CSRC}"]


def results(compiler: str, folder: Path, emulator: tuple[str, ...] = ()) -> np.ndarray:
    """What the program prints that a compiler makes."""
    folder.mkdir()
    for name in KERNELS:
        isa = ["-DGSPLAT_ISA=generic", "-DGSPLAT_ISA_GENERIC=1"]
        source = CSRC / "cpu" / "kernels" / f"{name}.cpp"
        subprocess.run([compiler, *FLAGS, *isa, "-c", source, "-o", folder / f"{name}.o"], check=True)
    sources = [Path(__file__).with_name("aarch64.cpp"), CSRC / "cpu" / "kmeans.cpp", CSRC / "cpu" / "isa.cpp"]
    objects = [folder / f"{name}.o" for name in KERNELS]
    program = folder / "program"
    subprocess.run([compiler, *FLAGS, "-static", *sources, *objects, "-o", program], check=True)
    done = subprocess.run([*emulator, program], check=True, capture_output=True, text=True)
    return np.array(done.stdout.split(), dtype=np.float64)


def test_results_are_those_of_this_machine_up_to_rounding(tmp_path: Path) -> None:
    compiler, emulator = "aarch64-linux-gnu-g++", "qemu-aarch64"
    missing = [program for program in (compiler, emulator, "c++") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {missing[0]} on this machine")
    here = results("c++", tmp_path / "here")
    there = results(compiler, tmp_path / "there", (emulator,))
    assert len(here) == 2 * 203 + 3 * 1003
    assert np.array_equal(here[:203], there[:203])
    np.testing.assert_allclose(there, here, rtol=2e-6, atol=1e-9)
