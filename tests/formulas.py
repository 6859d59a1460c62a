"""How the formulas of csrc/math are compiled for ``tests/math``, and those of its ``formulas.cpp`` by their
names, on lists of numbers."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from paths import ROOT

sys.path.insert(0, str(ROOT / "csrc"))
from build_units import INCLUDES, responses

FOLDER = ROOT / "tests" / "math"
_Numbers = ctypes.POINTER(ctypes.c_double)
_VALUE, _JVP, _VJP = range(3)


def compiler() -> list[str]:
    return os.environ.get("CXX", "c++").split()


def compilation(source: str) -> list[str]:
    """The command that compiles a source of ``tests/math``, without where to."""
    included = [option for name in responses() for option in ("-include", f"math/response/{name}.h")]
    flags = ["-std=c++20", "-O1", "-shared", "-fPIC", *(f"-I{path}" for path in INCLUDES)]
    return [*compiler(), *flags, *(included if source == "formulas.cpp" else []), str(FOLDER / source)]


class Formulas:
    """A compiled library of formulas in double precision, each with its derivatives."""

    CAPACITY = 64  # numbers that a formula may return

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        library.formula_names.restype = library.response_names.restype = ctypes.c_char_p
        library.formula.argtypes = [
            ctypes.c_char_p, ctypes.c_int, _Numbers, ctypes.c_int, _Numbers, ctypes.c_int, _Numbers,
        ]  # fmt: skip
        library.alpha.restype = library.level.restype = ctypes.c_double
        library.alpha.argtypes = [ctypes.c_char_p, *[ctypes.c_double] * 3, _Numbers, ctypes.c_int]
        library.level.argtypes = [ctypes.c_char_p, ctypes.c_double, _Numbers, ctypes.c_int]
        for name in ("exp_float", "exp2_float", "log2_float"):
            getattr(library, name).restype = ctypes.c_float
            getattr(library, name).argtypes = [ctypes.c_float]
        library.exp2_where_float.restype = ctypes.c_float
        library.exp2_where_float.argtypes = [ctypes.c_bool, ctypes.c_float]
        library.atan2_float.restype = ctypes.c_float
        library.atan2_float.argtypes = [ctypes.c_float, ctypes.c_float]
        library.cos_sin_of_turns_float.argtypes = [ctypes.c_float, ctypes.POINTER(ctypes.c_float)]
        self._library = library

    def names(self) -> list[str]:
        return str(self._library.formula_names().decode()).split("\n")

    def value(self, name: str, x: ArrayLike) -> list[float]:
        return self._call(name, _VALUE, x, ())

    def jvp(self, name: str, x: ArrayLike, tangent: ArrayLike) -> list[float]:
        return self._call(name, _JVP, x, tangent)

    def vjp(self, name: str, x: ArrayLike, v: ArrayLike) -> list[float]:
        return self._call(name, _VJP, x, v)

    def _call(self, name: str, which: int, x: ArrayLike, by: ArrayLike) -> list[float]:
        out = (ctypes.c_double * self.CAPACITY)()
        count = self._library.formula(name.encode(), which, *_list(x), *_list(by), out)
        if count < 0:
            raise ValueError(f"there is no formula {name!r} of {np.size(x)} and {np.size(by)} numbers")
        return list(out[:count])

    def responses(self) -> dict[str, bool]:
        """Whether the logarithm of each is quadratic."""
        lines = self._library.response_names().decode().split("\n")
        return {line[1:]: line[0] == "q" for line in lines}

    def alpha(self, name: str, u: float, v: float, opacity: float, extras: Sequence[float]) -> float:
        """At (u, v) in scaled units."""
        return float(self._library.alpha(name.encode(), u, v, opacity, *_list(extras)))

    def level(self, name: str, opacity: float, extras: Sequence[float]) -> float:
        return float(self._library.level(name.encode(), opacity, *_list(extras)))

    # The elementary functions in the precision in which the kernels use them.

    def exp(self, x: float) -> float:
        return float(self._library.exp_float(x))

    def exp2(self, x: float) -> float:
        return float(self._library.exp2_float(x))

    def exp2_where(self, mask: bool, x: float) -> float:
        return float(self._library.exp2_where_float(mask, x))

    def log2(self, x: float) -> float:
        return float(self._library.log2_float(x))

    def atan2(self, y: float, x: float) -> float:
        return float(self._library.atan2_float(y, x))

    def cos_sin_of_turns(self, x: float) -> tuple[float, float]:
        out = (ctypes.c_float * 2)()
        self._library.cos_sin_of_turns_float(x, out)
        return out[0], out[1]


def _list(numbers: ArrayLike) -> tuple[ctypes.Array[ctypes.c_double], int]:
    given = np.asarray(numbers, dtype=np.float64).ravel()
    return (ctypes.c_double * given.size)(*given), given.size
