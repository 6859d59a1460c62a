"""Kernels under the address sanitizer: what is out of bounds ends the process, with the line."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from cuda_on_cpu import address_sanitizer, sample_kernels


def run(name: str) -> subprocess.CompletedProcess[str]:
    code = f"import ctypes; ctypes.CDLL({str(sample_kernels.library_path('address'))!r}).{name}()"
    environment = address_sanitizer.environment()
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("past_the_end", r"heap-buffer-overflow.*past_the_end\.cu:6"),
        ("past_shared_array", r"use-after-poison.*past_shared_array\.cu:10"),
    ],
)
def test_out_of_bounds(name: str, problem: str) -> None:
    result = run(name)
    assert result.returncode != 0
    assert re.search(problem, result.stderr, re.DOTALL), result.stderr


@pytest.mark.parametrize("name", ["tiled_sum", "warp_exchange"])
def test_sound_kernels_pass(name: str) -> None:
    result = run(name)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
