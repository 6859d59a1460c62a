"""Compiles the formulas of csrc/math for these tests, those with derivatives in double precision."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from formulas import Formulas
from numpy.typing import ArrayLike, NDArray
from paths import ROOT

sys.path.insert(0, str(ROOT / "csrc"))
from build_units import responses

HERE = Path(__file__).parent


def compiled(source: Path, library: Path, options: list[str]) -> Path:
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler.split()[0]) is None:
        pytest.skip("no C++ compiler to build the formulas with")
    flags = ["-std=c++20", "-O1", "-shared", "-fPIC", f"-I{ROOT / 'csrc'}", *options]
    subprocess.run([*compiler.split(), *flags, str(source), "-o", str(library)], check=True)
    return library


@pytest.fixture(scope="session")
def formulas(tmp_path_factory: pytest.TempPathFactory) -> Formulas:
    """The formulas with derivatives, by their names."""
    included = [option for name in responses() for option in ("-include", f"math/response/{name}.h")]
    path = tmp_path_factory.mktemp("formulas") / "formulas.so"
    return Formulas(compiled(HERE / "formulas.cpp", path, included))


Function = Callable[[str, ArrayLike, int], NDArray[np.float64]]


@pytest.fixture(scope="session")
def function(tmp_path_factory: pytest.TempPathFactory) -> Function:
    """The other formulas: `function(name, numbers, size)` are the `size` numbers that it writes."""
    path = tmp_path_factory.mktemp("functions") / "functions.so"
    library = ctypes.CDLL(str(compiled(HERE / "functions.cpp", path, [])))

    def call(name: str, numbers: ArrayLike, size: int) -> NDArray[np.float64]:
        given = np.ascontiguousarray(numbers, dtype=np.float64)
        result = np.empty(size)
        pointer = ctypes.POINTER(ctypes.c_double)
        getattr(library, name)(given.ctypes.data_as(pointer), result.ctypes.data_as(pointer))
        return result

    return call
