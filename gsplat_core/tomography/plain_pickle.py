"""Reads pickles of numbers, texts, containers and NumPy arrays, without running anything that they name.

What a pickle names is looked up by Python and called; here every name stands for a function of this module,
or is refused. Arrays are made of their bytes once their shape and type have been checked against them.
"""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from gsplat_core.errors import DataError
from gsplat_core.io.source import read_whole

_KINDS = "bfiu"


def read_plain_pickle(path: Path) -> Any:
    """What a pickle holds.

    Raises:
        DataError: it is damaged, or has other objects than dictionaries, lists, tuples, sets, numbers, texts,
            bytes and NumPy arrays and numbers of real types; nothing of it has been run.
    """
    try:
        found = _Unpickler(io.BytesIO(read_whole(path)), encoding="latin1").load()
        return _plain(found, 0)
    except _RefusedError as refused:
        raise DataError(path, str(refused), remedy="Convert it with the program that wrote it.") from None
    except (DataError, KeyboardInterrupt):
        raise
    except Exception as error:
        raise DataError(path, f"no pickle that can be read: {type(error).__name__}: {error!s:.80}") from None


class _RefusedError(pickle.UnpicklingError):
    pass


class _Array:
    """An array that is being read; what it is given last is its content."""

    __slots__ = ("values",)
    values: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        if not isinstance(dtype, _Type) or not isinstance(content, bytes):
            raise _RefusedError("an array in it does not hold numbers")
        if len(content) != math.prod(shape) * dtype.found.itemsize:
            raise _RefusedError(f"an array of shape {shape!s:.80} in it has {len(content):,} bytes")
        flat = np.frombuffer(content, dtype.found)
        self.values = flat.reshape(shape, order="F") if fortran else flat.reshape(shape)


class _Type:
    """A type of numbers, whose order of bytes comes last."""

    __slots__ = ("found",)
    found: np.dtype

    def __init__(self, name: Any) -> None:
        text = str(name)[:16]
        if len(text) < 2 or text[0] not in _KINDS or not text[1:].isdigit():
            raise _RefusedError(f"an array in it is of type {text!r}, not of real numbers")
        self.found = np.dtype(text)

    def __setstate__(self, state: Any) -> None:
        if state[1] in (">", "<"):
            self.found = self.found.newbyteorder(state[1])


# Instances without a dictionary: a pickle can set no attribute of them.
class _Name:
    __slots__ = ()


class _Reconstruct:
    __slots__ = ()

    def __call__(self, *_: Any) -> _Array:
        return _Array()


class _MakeType:
    __slots__ = ()

    def __call__(self, name: Any, *_: Any) -> _Type:
        return _Type(name)


class _FromBuffer:
    """Arrays as the fifth protocol has them."""

    __slots__ = ()

    def __call__(self, content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
        if not isinstance(content, (bytes, bytearray)):
            raise _RefusedError("an array in it has no content")
        array = _Array()
        array.__setstate__((1, shape, dtype, order == "F", bytes(content)))
        return array


class _Scalar:
    __slots__ = ()

    def __call__(self, dtype: Any, content: Any) -> Any:
        if not isinstance(dtype, _Type) or len(content) != dtype.found.itemsize:
            raise _RefusedError("a number in it has no real type")
        return np.frombuffer(content, dtype.found)[0].item()


class _Encode:
    """How protocols before the third write bytes."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if encoding != "latin1" or not isinstance(text, str):
            raise _RefusedError("it has bytes that are written in an unknown way")
        return text.encode("latin1")


class _NoBytes:
    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


_MODULES = ("numpy.core", "numpy._core")
_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Name(),
    ("numpy", "dtype"): _MakeType(),
    ("_codecs", "encode"): _Encode(),
    ("__builtin__", "bytes"): _NoBytes(),
    **{(f"{module}.multiarray", "_reconstruct"): _Reconstruct() for module in _MODULES},
    **{(f"{module}.multiarray", "scalar"): _Scalar() for module in _MODULES},
    **{(f"{module}.numeric", "_frombuffer"): _FromBuffer() for module in _MODULES},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise _RefusedError(f"it names {module}.{name}"[:120] + ", which is not run")
        return _KNOWN[module, name]


def _plain(value: Any, depth: int) -> Any:
    """With arrays in the place of what they were read by."""
    if depth > 8:
        raise _RefusedError("it is nested too deeply")
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, dict):
        return {key: _plain(entry, depth + 1) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(entry, depth + 1) for entry in value)
    if value is None or isinstance(value, (bool, int, float, str, bytes, set)):
        return value
    raise _RefusedError("it holds something else than numbers, texts and arrays")
