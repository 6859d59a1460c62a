"""Compiles the formulas of csrc/math for these tests, those with derivatives in double precision."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from formulas import Formulas, compilation, compiler
from numpy.typing import ArrayLike, NDArray


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of this run of the tests, which all its workers share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def compiled(source: str, folder: Path) -> Path:
    """The library, which the first worker that needs it compiles for all."""
    if shutil.which(compiler()[0]) is None:
        pytest.skip("no C++ compiler to build the formulas with")
    library = folder / f"{source}.so"
    with library.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            made = library.with_suffix(".new")
            subprocess.run([*compilation(source), "-o", str(made)], check=True)
            made.rename(library)
    return library


BEYOND = 7.25


@pytest.fixture(scope="session")
def formulas(folder: Path) -> Formulas:
    """The formulas with derivatives, by their names."""
    return Formulas(compiled("formulas.cpp", folder))


Function = Callable[[str, ArrayLike, int], NDArray[np.float64]]


@pytest.fixture(scope="session")
def function(folder: Path) -> Function:
    """The other formulas: `function(name, numbers, size)` are the `size` numbers that it writes."""
    library = ctypes.CDLL(str(compiled("functions.cpp", folder)))

    def call(name: str, numbers: ArrayLike, size: int) -> NDArray[np.float64]:
        given = np.ascontiguousarray(numbers, dtype=np.float64)
        # Nothing is written beyond what a formula gives.
        result = np.full(size + 4, BEYOND)
        pointer = ctypes.POINTER(ctypes.c_double)
        getattr(library, name)(given.ctypes.data_as(pointer), result.ctypes.data_as(pointer))
        assert (result[size:] == BEYOND).all()
        return result[:size]

    return call
