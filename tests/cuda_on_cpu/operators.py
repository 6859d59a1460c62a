"""The operators of ``torch.ops.gsplat_core`` on their CUDA kernels, executed on the CPU.

``csrc/cuda`` and ``csrc/ops/cuda`` are compiled unchanged, into a library whose operators have a namespace of
their own. While ``emulated()`` holds, the operators on tensors of the CPU are those of that library: all of
Python goes on as it is, derivatives included.
"""

from __future__ import annotations

import ctypes
import sys
import warnings
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
from gsplat_core.ops import library as _  # noqa: F401  (registers the operators)

CSRC = ROOT / "csrc"
sys.path.insert(0, str(CSRC))
import build_ops  # noqa: E402
from build_units import INCLUDES, kernel_units  # noqa: E402

NAMESPACE = "gsplat_cuda_on_cpu"
_definitions = torch.library.Library(NAMESPACE, "FRAGMENT")
_ON_CUDA = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
_replacing: list[torch.library.Library] = []
_FRESH = {"aten::new_empty", "aten::empty", "aten::empty_like", "aten::empty_strided"}


def kernel_sources() -> list[Path]:
    return sorted(CSRC.glob("cuda/**/*.cu"))


def flavour() -> str:
    """Under the address sanitizer only what is built with it can be loaded."""
    return "address" if hasattr(ctypes.CDLL(None), "__asan_init") else "checked"


def build_library(flavour: str) -> Path:
    torch_folder = Path(torch.__file__).parent
    operator_flags = (
        f"-isystem {torch_folder / 'include'} -DTORCH_TARGET_VERSION={build_ops.TORCH_TARGET} -DUSE_CUDA=0"
        f" -Dgsplat_core={NAMESPACE}"
    )
    operators = sorted(CSRC.glob("ops/cuda/*.cpp"))
    # The part of PyTorch that knows about streams is not there: torch_cuda.cpp stands in for it.
    emulated_torch = " -Ddlopen=emulated_dlopen -Ddlsym=emulated_dlsym"
    return build(
        "operators",
        [
            *(Source(unit.source, " ".join(unit.flags), unit.suffix) for unit in kernel_units("cuda", "cu")),
            *(Source(path, operator_flags + emulated_torch) for path in operators),
            Source(HERE / "torch_cuda.cpp"),
        ],
        flavour,
        INCLUDES,
        headers=sorted(CSRC.glob("cuda/*.cuh")),
        libraries=f"-L{torch_folder / 'lib'} -ltorch_cpu",
    )


@cache
def library() -> Library:
    """The library that this process can load, its operators defined."""
    path = build_library(flavour())
    for name in _names():
        schema = str(getattr(torch.ops.gsplat_core, name).default._schema)
        _definitions.define(schema.removeprefix("gsplat_core::"))
    return Library(path)


def _names() -> list[str]:
    """All operators of gsplat_core."""
    names = [name.split("::") for name in torch._C._dispatch_get_all_op_names()]
    return sorted(name for namespace, name in names if namespace == "gsplat_core" and "." not in name)


@contextmanager
def replaced_kernels(which: Callable[[str], bool], run: Callable[..., Any]) -> Iterator[None]:
    """Within the block, `run(name, *arguments)` stands for the kernel of an operator on the CPU."""
    kernels = torch.library.Library("gsplat_core", "IMPL")
    _replacing.append(kernels)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Warning only once for all operators")
            for name in filter(which, _names()):
                kernels.impl(name, partial(run, name), "CPU", allow_override=True)
        yield
    finally:
        _replacing.remove(kernels)
        kernels._destroy()


def are_replaced() -> bool:
    """Whether other kernels stand for those of the CPU now."""
    return bool(_replacing)


@contextmanager
def emulated(**settings: Any) -> Iterator[Library]:
    """Within the block, operators on the CPU run their CUDA kernels; reports raise AssertionError."""
    emulation = library()
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    with (
        replaced_kernels(lambda name: has_kernel(f"{NAMESPACE}::{name}", "CUDA"), _run),
        emulation.settings(**settings),
    ):
        yield emulation


def _run(name: str, *arguments: Any) -> Any:
    emulation = library()
    operator = getattr(getattr(torch.ops, NAMESPACE), name).default
    with emulation.memory() as memory, _Allocations(memory):
        _add(memory, arguments)
        result = operator.redispatch(_ON_CUDA, *arguments)
    reports = emulation.take_reports()
    assert not reports, "\n".join(reports)
    return result


class _Allocations(TorchDispatchMode):
    """Tells about tensors that an operator makes, and keeps them: the host might get freed memory next."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory
        self._kept: list[Any] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), options: Any = None
    ) -> Any:
        result = function(*arguments, **(options or {}))
        _add(self._memory, result, fresh=function.name() in _FRESH)
        self._kept.append(result)
        return result


def _add(memory: Memory, values: Any, fresh: bool = False) -> None:
    for value in tree_leaves(values):
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            memory.add(storage.data_ptr(), storage.nbytes(), fresh)


if __name__ == "__main__":
    # Ahead of the tests, none of which has to wait for the compiler then.
    build_library(sys.argv[1] if len(sys.argv) > 1 else "checked")
