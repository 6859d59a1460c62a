"""Compiles the formulas of csrc/math for these tests, those with derivatives in double precision."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from formulas import Formulas, compilation, compiler
from numpy.typing import ArrayLike, NDArray


def compiled(source: str, folder: Path) -> Path:
    if shutil.which(compiler()[0]) is None:
        pytest.skip("no C++ compiler to build the formulas with")
    library = folder / "library.so"
    subprocess.run([*compilation(source), "-o", str(library)], check=True)
    return library


BEYOND = 7.25


@pytest.fixture(scope="session")
def formulas(tmp_path_factory: pytest.TempPathFactory) -> Formulas:
    """The formulas with derivatives, by their names."""
    return Formulas(compiled("formulas.cpp", tmp_path_factory.mktemp("formulas")))


Function = Callable[[str, ArrayLike, int], NDArray[np.float64]]


@pytest.fixture(scope="session")
def function(tmp_path_factory: pytest.TempPathFactory) -> Function:
    """The other formulas: `function(name, numbers, size)` are the `size` numbers that it writes."""
    library = ctypes.CDLL(str(compiled("functions.cpp", tmp_path_factory.mktemp("functions"))))

    def call(name: str, numbers: ArrayLike, size: int) -> NDArray[np.float64]:
        given = np.ascontiguousarray(numbers, dtype=np.float64)
        # Nothing is written beyond what a formula gives.
        result = np.full(size + 4, BEYOND)
        pointer = ctypes.POINTER(ctypes.c_double)
        getattr(library, name)(given.ctypes.data_as(pointer), result.ctypes.data_as(pointer))
        assert (result[size:] == BEYOND).all()
        return result[:size]

    return call
