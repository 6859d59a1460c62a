"""csrc/ops/runtime.cpp: what the library says of itself and how the instruction set is chosen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from paths import ROOT

import gsplat_core
from gsplat_core.ops import library  # noqa: F401  (registers the operators)

ops = torch.ops.gsplat_core


def start(isa: str) -> subprocess.CompletedProcess[str]:
    """A new process that starts with GSPLAT_ISA set and prints the instruction set in use."""
    code = "import torch; from gsplat_core.ops import library; print(torch.ops.gsplat_core.isa())"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "GSPLAT_ISA": isa, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)


def test_the_library_is_of_the_packages_version() -> None:
    info = dict(line.split(": ", 1) for line in ops.build_info().splitlines())
    assert info["version"] == gsplat_core.__version__
    assert info["torch ABI"] == "2.10"
    assert set(info) == {"version", "flavour", "compiler", "CUDA", "torch ABI"}


def test_the_best_instruction_set_is_used_unless_told_otherwise() -> None:
    names = ops.available_isas().split()
    assert start("").stdout.strip() == names[-1]


@pytest.mark.parametrize("isa", ops.available_isas().split())
def test_the_environment_chooses_the_instruction_set(isa: str) -> None:
    result = start(isa)
    assert result.stdout.strip() == isa, result.stderr


def test_an_unknown_instruction_set_is_an_error_that_lists_the_known_ones() -> None:
    result = start("sse9")
    assert result.returncode != 0
    assert "sse9" in result.stderr
    assert ops.available_isas() in result.stderr


def test_set_isa_switches_and_refuses_unknown_names() -> None:
    before = ops.isa()
    try:
        for name in ops.available_isas().split():
            ops.set_isa(name)
            assert ops.isa() == name
        with pytest.raises(RuntimeError, match="unknown instruction set 'sse9'"):
            ops.set_isa("sse9")
        assert ops.isa() == name
    finally:
        ops.set_isa(before)
