"""The targets in C++, built with Clang's libFuzzer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from paths import ROOT

# A target is NAME.cpp beside this file; these are what it tests.
SOURCES = {"context_coder": ["csrc/cpu/context_coder.cpp", "csrc/cpu/residual_coder.cpp"]}
FLAGS = [
    "-std=c++20",
    "-O2",
    "-g",
    "-fsanitize=fuzzer,address,undefined",
    "-fno-sanitize-recover=all",
    "-Icsrc",
]


class NotBuiltError(Exception):
    """Why a target could not be built."""


def built(name: str, folder: Path) -> Path:
    """The target's program, compiled anew into a folder.

    Raises:
        NotBuiltError: Clang or its libFuzzer is missing, or the sources do not compile.
    """
    compiler = shutil.which("clang++")
    if compiler is None:
        raise NotBuiltError("needs Clang with libFuzzer (Debian: apt install clang)")
    program = folder / name
    sources = [f"tests/fuzz/{name}.cpp", *SOURCES[name]]
    done = subprocess.run(
        [compiler, *FLAGS, *sources, "-o", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotBuiltError(f"Clang says: {done.stderr.strip()[-500:]}")
    return program
