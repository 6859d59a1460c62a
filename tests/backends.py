"""On which kernels a test runs the operators: those of the CPU, or those of CUDA, on the CPU or on a GPU.

Tests make tensors on the CPU and call operators there. For another backend, the kernels for the CPU are
replaced by functions that run those of CUDA; all else goes on as it is, derivatives included. The fixtures
``backend`` and ``kernels`` of ``conftest.py`` choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from cuda_on_cpu.operators import are_replaced, emulated, flavour, replaced_kernels
from torch import Tensor
from torch.utils._pytree import tree_map_only


def _has_cuda_kernel(name: str) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(f"gsplat_core::{name}", "CUDA")


@contextmanager
def on_gpu() -> Iterator[None]:
    """Operators on tensors of the CPU copy them to the GPU, run there, and copy back."""
    with replaced_kernels(_has_cuda_kernel, _run_on_gpu):
        yield


def _run_on_gpu(name: str, *arguments: Any) -> Any:
    copies = tree_map_only(Tensor, Tensor.cuda, arguments)
    operator = getattr(torch.ops.gsplat_core, name).default
    result = operator(*copies)
    for parameter, argument, copy in zip(operator._schema.arguments, arguments, copies, strict=False):
        if parameter.is_write:
            argument.copy_(copy)
    return tree_map_only(Tensor, Tensor.cpu, result)


@contextmanager
def on_cpu(isa: str) -> Iterator[None]:
    """The CPU's kernels for one instruction set."""
    before = torch.ops.gsplat_core.isa()
    torch.ops.gsplat_core.set_isa(isa)
    try:
        yield
    finally:
        torch.ops.gsplat_core.set_isa(before)


Context = Callable[[], AbstractContextManager[Any]]
_CUDA: dict[str, Context] = {"cuda-on-cpu": emulated, "cuda": on_gpu}
BACKENDS: dict[str, Context] = {"cpu": nullcontext, **_CUDA}
# Every set of kernels: those of the CPU exist once for each instruction set.
KERNELS: dict[str, Context] = {
    **{f"cpu-{isa}": partial(on_cpu, isa) for isa in torch.ops.gsplat_core.available_isas().split()},
    **_CUDA,
}

_NO_GPU = pytest.mark.skipif(
    not (torch.cuda.is_available() and _has_cuda_kernel("composite")),
    reason="needs a GPU, and a build of the operators with CUDA",
)


def parameters(names: Iterable[str]) -> list[Any]:
    """For `pytest.fixture(params=...)`: a GPU that is not there is skipped."""
    return [pytest.param(name, marks=_NO_GPU) if name == "cuda" else name for name in names]


def assert_same_sums(backend: str, actual: Tensor, expected: Tensor) -> None:
    """The same bytes, but for the order in which the atomic operations of a GPU happen."""
    if backend == "cuda":
        size = float(expected.abs().max()) if expected.numel() else 0.0
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5 * size)
    else:
        assert torch.equal(actual, expected)


def opcheck(operator: Any, arguments: tuple[Any, ...], options: dict[str, Any] | None = None) -> None:
    """`torch.library.opcheck`. How an operator is differentiated and traced depends neither on kernels nor on
    a sanitizer: of others than those of the CPU, and under one, only what kernels return and write is
    checked."""
    if are_replaced() or flavour() == "address":
        torch.library.opcheck(operator, arguments, options, test_utils=("test_schema", "test_faketensor"))
    else:
        torch.library.opcheck(operator, arguments, options)
