"""The operators of ``torch.ops.gsplat_core`` compiled for aarch64 with its vectors (NEON), in an emulator.

While ``on_aarch64()`` holds, the operators on tensors of the CPU run in a process under qemu: all of Python
goes on as it is, derivatives included.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import torch
from cuda_on_cpu.operators import replaced_kernels
from torch import Tensor

from aarch64.build import EMULATOR, build

_DTYPES = {0: torch.uint8, 1: torch.int8, 2: torch.int16, 3: torch.int32, 4: torch.int64,
           6: torch.float32, 7: torch.float64, 11: torch.bool}  # fmt: skip
"""By their numbers in ``torch/headeronly/core/ScalarType.h``."""
_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}
_RESULTS = {"Tensor": "t", "float": "d", "str": "s"}


@contextmanager
def on_aarch64() -> Iterator[Emulator]:
    """Within the block, operators on the CPU are those for aarch64."""
    with subprocess.Popen([EMULATOR, str(build())], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        emulator = Emulator(process.stdin, process.stdout)
        with replaced_kernels(lambda _: True, emulator.call):
            yield emulator
        process.stdin.close()


class Emulator:
    """The two ends of ``server.cpp``, which describes what passes between them."""

    def __init__(self, calls: IO[bytes], answers: IO[bytes]) -> None:
        self._calls, self._answers = calls, answers
        self.called: set[str] = set()
        """The names of the operators that have run."""

    def call(self, name: str, *arguments: Any) -> Any:
        """What the operator returns; tensors that it changes have changed.

        Raises:
            RuntimeError: it refused; the message is its own.
        """
        self.called.add(name)
        schema = getattr(torch.ops.gsplat_core, name).default._schema
        given = list(arguments) + [argument.default_value for argument in schema.arguments[len(arguments) :]]
        self._calls.write(_string(name) + struct.pack("<q", len(given)))
        changed = []
        for argument, value in zip(schema.arguments, given, strict=True):
            changes = argument.alias_info is not None and argument.alias_info.is_write
            self._calls.write(_value(value, str(argument.type), changes))
            if changes and value is not None:
                changed.append(value)
        self._calls.write(_string("".join(_RESULTS[str(result.type)] for result in schema.returns)))
        self._calls.flush()
        if self._read(1) == b"e":
            raise RuntimeError(self._read_string())
        results = [self._read_result(str(result.type)) for result in schema.returns]
        for tensor in changed:
            tensor.copy_(self._read_tensor())
        return None if not results else results[0] if len(results) == 1 else tuple(results)

    def _read_result(self, kind: str) -> Tensor | float | str:
        if kind == "Tensor":
            return self._read_tensor()
        return self._read_string() if kind == "str" else float(struct.unpack("<d", self._read(8))[0])

    def _read_tensor(self) -> Tensor:
        dtype, dimensions = _DTYPES[self._read_integer()], self._read_integer()
        tensor = torch.empty([self._read_integer() for _ in range(dimensions)], dtype=dtype)
        data = self._read(tensor.nbytes)
        return torch.frombuffer(bytearray(data), dtype=dtype).reshape(tensor.shape) if data else tensor

    def _read_string(self) -> str:
        return self._read(self._read_integer()).decode()

    def _read_integer(self) -> int:
        return int(struct.unpack("<q", self._read(8))[0])

    def _read(self, size: int) -> bytes:
        data = self._answers.read(size)
        if len(data) < size:
            raise RuntimeError("the process for aarch64 has ended; what it said is above")
        return data


def _value(value: Any, kind: str, changes: bool = False) -> bytes:
    """An argument of a type of the schema."""
    if kind.startswith("Optional["):
        inner = kind.removeprefix("Optional[").removesuffix("]")
        return b"n" if value is None else b"o" + _value(value, inner, changes)
    if kind.startswith("List["):
        inner = kind.removeprefix("List[").removesuffix("]")
        return b"l" + struct.pack("<q", len(value)) + b"".join(_value(item, inner) for item in value)
    if kind == "Tensor":
        sizes = struct.pack(f"<{2 + value.dim()}q", _NUMBERS[value.dtype], value.dim(), *value.shape)
        return (b"m" if changes else b"t") + sizes + value.contiguous().numpy().tobytes()
    if kind == "str":
        return b"s" + _string(value)
    return b"d" + struct.pack("<d", value) if kind == "float" else b"i" + struct.pack("<q", value)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<q", len(data)) + data
