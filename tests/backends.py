"""On which kernels a test runs the operators: those of the CPU, or those of CUDA, on the CPU or on a GPU.

Tests make tensors on the CPU and call operators there. For another backend, the kernels for the CPU are
replaced by functions that run those of CUDA; all else goes on as it is, derivatives included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from cuda_on_cpu.operators import emulated, replaced_kernels
from torch import Tensor
from torch.utils._pytree import tree_map_only


@contextmanager
def on_gpu() -> Iterator[None]:
    """Operators on tensors of the CPU copy them to the GPU, run there, and copy back."""
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    with replaced_kernels(lambda name: has_kernel(f"gsplat_core::{name}", "CUDA"), _run_on_gpu):
        yield


def _run_on_gpu(name: str, *arguments: Any) -> Any:
    copies = tree_map_only(Tensor, Tensor.cuda, arguments)
    operator = getattr(torch.ops.gsplat_core, name).default
    result = operator(*copies)
    for parameter, argument, copy in zip(operator._schema.arguments, arguments, copies, strict=False):
        if parameter.is_write:
            argument.copy_(copy)
    return tree_map_only(Tensor, Tensor.cpu, result)


BACKENDS: dict[str, Callable[[], AbstractContextManager[Any]]] = {"cpu": nullcontext, "cuda-on-cpu": emulated}
if torch.cuda.is_available():
    BACKENDS["cuda"] = on_gpu
