"""Checks of arguments whose messages name the argument, what was expected and what came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def check_tensor(
    name: str, value: Any, layout: str, sizes: Mapping[str, int], batch: tuple[int, ...]
) -> None:
    """Raises ValueError unless `value` is a float32 tensor of the shape that `layout` describes.

    Args:
        layout: sizes after the batch dimensions, by name or number: "C 4 4".
        sizes: what the names stand for.
        batch: the sizes of the batch dimensions.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"argument '{name}' must be a tensor, got {type(value).__name__}")
    names = layout.split()
    shape = [*batch, *[sizes[size] if size in sizes else int(size) for size in names]]
    if list(value.shape) != shape:
        symbols = ", ".join(["...", *names])
        raise ValueError(f"argument '{name}' must have shape [{symbols}] = {shape}, got {list(value.shape)}")
    if value.dtype != torch.float32:
        raise ValueError(f"argument '{name}' must be float32, got {value.dtype}")


def check_shape(name: str, value: Any, shape: tuple[int, ...], device: torch.device) -> None:
    """Raises ValueError unless `value` is a tensor of this shape on this device."""
    if not isinstance(value, Tensor):
        raise ValueError(f"argument '{name}' must be a tensor, got {type(value).__name__}")
    if tuple(value.shape) != shape:
        raise ValueError(f"argument '{name}' must have shape {list(shape)}, got {list(value.shape)}")
    if value.device != device:
        raise ValueError(f"argument '{name}' is on {value.device}, but 'means' is on {device}")


def check_same_device(tensors: Mapping[str, Tensor | None]) -> None:
    """Raises ValueError naming the first tensor that is on another device than the first one."""
    present = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    first, device = next((name, tensor.device) for name, tensor in present.items())
    for name, tensor in present.items():
        if tensor.device != device:
            raise ValueError(f"argument '{name}' is on {tensor.device}, but '{first}' is on {device}")


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Raises ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"argument '{name}' must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_unsupported(values: Mapping[str, tuple[Any, Any]]) -> None:
    """Raises NotImplementedError for an argument that asks for what is not there.

    Args:
        values: for each name the value that came and the only one that is supported.
    """
    for name, (value, supported) in values.items():
        if value is not supported and value != supported:
            raise NotImplementedError(
                f"argument '{name}' = {value!r} is not supported by gsplat_core, only {supported!r} is"
            )
