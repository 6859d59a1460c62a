"""A library of kernels that run on the CPU, as Python sees it: settings, reports, counters."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Library:
    """Loads a library that ``build.py`` made."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self._library.cuda_on_cpu_set.restype = ctypes.c_bool
        self._library.cuda_on_cpu_take_reports.restype = ctypes.c_char_p
        self._library.cuda_on_cpu_take_counters.restype = ctypes.c_char_p
        self._library.cuda_on_cpu_take_calls.restype = ctypes.c_char_p
        for name in ("begin_capture", "end_capture"):
            getattr(self._library, f"cuda_on_cpu_{name}").restype = ctypes.c_bool

    def call(self, name: str) -> None:
        """Calls an ``extern "C" void`` function without arguments."""
        getattr(self._library, name)()

    def set(self, **settings: object) -> None:
        """Changes settings of ``runtime/settings.h``: seed, check, profile, calls, without."""
        for name, value in settings.items():
            text = str(int(value)) if isinstance(value, bool) else str(value)
            if not self._library.cuda_on_cpu_set(name.encode(), text.encode()):
                raise ValueError(f"no setting {name!r} with the value {text!r}")

    @contextmanager
    def settings(self, **settings: object) -> Iterator[None]:
        """Settings for a while; afterwards those are back that hold in the beginning."""
        self.set(**settings)
        try:
            yield
        finally:
            defaults: dict[str, object] = {
                "seed": 0, "check": True, "profile": False, "calls": False, "without": "",
            }  # fmt: skip
            self.set(**{name: defaults[name] for name in settings})

    def take_reports(self) -> list[str]:
        """What has gone wrong since the last call."""
        return self._library.cuda_on_cpu_take_reports().decode().splitlines()

    def take_counters(self) -> dict[str, dict[str, Any]]:
        """The counters of ``runtime/counters.h`` since the last call, by kernel and template arguments."""
        counters: dict[str, dict[str, Any]] = json.loads(self._library.cuda_on_cpu_take_counters().decode())
        return counters

    def take_calls(self) -> list[Call]:
        """What the host has asked of the device since the last call, where the setting `calls` holds."""
        calls = json.loads(self._library.cuda_on_cpu_take_calls().decode())
        return [Call(**call) for call in calls]

    def current_device(self) -> int:
        """The device that cudaGetDevice tells."""
        return int(self._library.cuda_on_cpu_current_device())

    @contextmanager
    def current_stream(self, number: int) -> Iterator[None]:
        """Operators use this stream, as if by `torch.cuda.stream()`; 0 is the default stream."""
        self._library.cuda_on_cpu_set_current_stream(ctypes.c_void_p(number))
        try:
            yield
        finally:
            self._library.cuda_on_cpu_set_current_stream(None)

    @contextmanager
    def captured(self, stream: int) -> Iterator[None]:
        """The stream, which operators use, is captured into a graph: what cannot be is reported."""
        with self.current_stream(stream):
            assert self._library.cuda_on_cpu_begin_capture(ctypes.c_void_p(stream))
            try:
                yield
            finally:
                valid = self._library.cuda_on_cpu_end_capture(ctypes.c_void_p(stream))
            assert valid, "the capture is invalid"

    @contextmanager
    def memory(self) -> Iterator[Memory]:
        """Memory of the host that kernels may use until the end of the block."""
        memory = Memory(self._library)
        try:
            yield memory
        finally:
            memory.remove_all()


@dataclass(frozen=True)
class Call:
    """A call of CUDA's runtime by the host, a launch (by the name of its kernel) or a call of CUB."""

    name: str
    stream: int
    device: int
    waits: bool  # the host, for the device


class Memory:
    """Memory of the host that is told to a library."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._added: list[int] = []

    def add(self, address: int, size: int, fresh: bool = False) -> None:
        """Adds memory; what is fresh is filled so that reading it before writing it is noticed."""
        if size == 0:
            return
        if fresh:
            self._library.cuda_on_cpu_fill_with_poison(ctypes.c_void_p(address), ctypes.c_size_t(size))
        self._library.cuda_on_cpu_add_memory(ctypes.c_void_p(address), ctypes.c_size_t(size))
        self._added.append(address)

    def remove_all(self) -> None:
        while self._added:
            self._library.cuda_on_cpu_remove_memory(ctypes.c_void_p(self._added.pop()))
