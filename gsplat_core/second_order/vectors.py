"""Vectors over all parameters of a scene: one tensor per parameter, by name."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Vector = Mapping[str, Tensor]

_ROW = 4096


def dot(a: Vector, b: Vector) -> float:
    """The inner product, in double precision: float32 loses the small curvatures of 59 numbers per Gaussian.

    The same bits for any number of threads.
    """
    return sum(_dot(a[name].flatten(), b[name].flatten()) for name in a)


def _dot(a: Tensor, b: Tensor) -> float:
    total = 0.0
    for x, y in zip(a.split(256 * _ROW), b.split(256 * _ROW), strict=True):
        products = x.double() * y
        whole = products.numel() // _ROW * _ROW
        rows = products[:whole].view(-1, _ROW).sum(dim=1)
        total += float(rows.sum()) + float(products[whole:].sum())
    return total


def norm(a: Vector) -> float:
    return dot(a, a) ** 0.5


def zeros_like(a: Vector) -> dict[str, Tensor]:
    return {name: torch.zeros_like(tensor) for name, tensor in a.items()}


def scaled(factor: float, a: Vector) -> dict[str, Tensor]:
    return {name: factor * tensor for name, tensor in a.items()}


def add_(a: Vector, b: Vector, factor: float = 1.0) -> None:
    """a += factor * b, in place."""
    for name, tensor in a.items():
        tensor.add_(b[name], alpha=factor)
