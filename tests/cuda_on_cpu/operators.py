"""The operators of ``torch.ops.gsplat_core`` on their CUDA kernels, executed on the CPU.

``csrc/cuda`` and ``csrc/ops/cuda`` are compiled unchanged, into a library whose operators have a namespace of
their own. While ``emulated()`` holds, the operators on tensors of the CPU are those of that library: all of
Python goes on as it is, derivatives included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cuda_on_cpu.build import HERE, ROOT, Source, build
from cuda_on_cpu.library import Library, Memory

CSRC = ROOT / "csrc"
sys.path.insert(0, str(CSRC))
import build_ops  # noqa: E402

_ON_CUDA = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
_FRESH = {"aten::new_empty", "aten::empty", "aten::empty_like", "aten::empty_strided"}


def kernel_sources() -> list[Path]:
    return sorted(CSRC.glob("cuda/*.cu"))


@cache
def library(flavour: str) -> Library:
    """The library of one flavour, its operators defined in the namespace ``namespace(flavour)``."""
    torch_folder = Path(torch.__file__).parent
    operator_flags = (
        f"-I{torch_folder / 'include'} -DTORCH_TARGET_VERSION={build_ops.TORCH_TARGET} -DUSE_CUDA=0"
    )
    operator_flags += f" -Dgsplat_core={namespace(flavour)} -Wno-unused-parameter"
    operators = [path for path in sorted(CSRC.glob("ops/cuda/*.cpp")) if path.name != "device.cpp"]
    path = build(
        "operators",
        [
            *(Source(path) for path in kernel_sources()),
            *(Source(path, operator_flags) for path in [*operators, HERE / "device.cpp"]),
        ],
        flavour,
        [CSRC],
        headers=sorted(CSRC.glob("cuda/*.cuh")),
        libraries=f"-L{torch_folder / 'lib'} -ltorch_cpu",
    )
    fragment = torch.library.Library(namespace(flavour), "FRAGMENT")
    _kept_alive.append(fragment)
    for name in _operators("gsplat_core"):
        fragment.define(
            str(getattr(torch.ops.gsplat_core, name).default._schema).removeprefix("gsplat_core::")
        )
    return Library(path)


_kept_alive: list[torch.library.Library] = []


def namespace(flavour: str) -> str:
    return f"gsplat_cuda_on_cpu_{flavour}"


def _operators(of: str) -> list[str]:
    names = [name.split("::") for name in torch._C._dispatch_get_all_op_names()]
    return [name for of_name, name in names if of_name == of and "." not in name]


def implemented(flavour: str) -> list[str]:
    """The operators that have a CUDA kernel."""
    space = namespace(flavour)
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    return [name for name in _operators(space) if has_kernel(f"{space}::{name}", "CUDA")]


@contextmanager
def emulated(flavour: str = "plain", **settings: Any) -> Iterator[Library]:
    """Within the block, operators on the CPU run their CUDA kernels; reports raise AssertionError."""
    emulation = library(flavour)
    replaced = torch.library.Library("gsplat_core", "IMPL")
    try:
        for name in implemented(flavour):
            operator = getattr(getattr(torch.ops, namespace(flavour)), name).default
            replaced.impl(name, partial(_run, emulation, operator), "CPU", allow_override=True)
        with emulation.settings(**settings):
            yield emulation
    finally:
        replaced._destroy()


def _run(emulation: Library, operator: Callable[..., Any], *arguments: Any) -> Any:
    with emulation.memory() as memory, _Allocations(memory):
        _add(memory, arguments)
        result = operator.redispatch(_ON_CUDA, *arguments)  # type: ignore[attr-defined]
    reports = emulation.take_reports()
    assert not reports, "\n".join(reports)
    return result


class _Allocations(TorchDispatchMode):
    """Tells about tensors that an operator makes."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), options: Any = None
    ) -> Any:
        result = function(*arguments, **(options or {}))
        _add(self._memory, result, fresh=function.name() in _FRESH)
        return result


def _add(memory: Memory, values: Any, fresh: bool = False) -> None:
    for value in tree_leaves(values):
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            memory.add(storage.data_ptr(), storage.nbytes(), fresh)
