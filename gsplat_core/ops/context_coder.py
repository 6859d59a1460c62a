"""Lossless coding of tables of integers by context mixing; of ascending codes by their differences.

The bytes mean the same on every machine: nothing in the coder is floating point.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops import library  # noqa: F401  (loads the operators)

NEIGHBORS = 3


def encode_table(values: Tensor, neighbors: Tensor) -> Tensor:
    """Codes a table row by row.

    Args:
        values: [N, C] int32 on the CPU, within ±2^28, C up to 256.
        neighbors: [N, 3] int32: for each row earlier rows that resemble it, most similar first, or -1. A row
            is predicted from them, column by column with the predictor that suits it best.

    Returns:
        [B] uint8.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    result: Tensor = torch.ops.gsplat_core.encode_table(values, neighbors)
    return result


def decode_table(data: Tensor, neighbors: Tensor, channels: int) -> Tensor:
    """The table [N, channels] int32 that `encode_table` coded with the same neighbours.

    Damaged bytes give some other table of this size: they are for a checksum to find.
    """
    result: Tensor = torch.ops.gsplat_core.decode_table(data, neighbors, channels)
    return result


def encode_residuals(values: Tensor, deviations: Tensor, neighbors: Tensor) -> Tensor:
    """Codes what predictions missed, where each number has a deviation of its own that the decoder knows.

    A number costs about as many bits as a Gaussian of this deviation around zero gives it, in the long run at
    most so many, as models learn where the numbers are not as normal as that.

    Args:
        values: [N, C] int32 on the CPU, in steps, within ±2^28, C up to 256.
        deviations: [N, C] int32, d for 2^(d / 8 - 3) steps, from 0 to 127.
        neighbors: [N, 3] int32 as for `encode_table`: their residuals say something of a row's.

    Returns:
        [B] uint8.

    Raises:
        RuntimeError: an argument does not fit; the message names it.
    """
    result: Tensor = torch.ops.gsplat_core.encode_residuals(values, deviations, neighbors)
    return result


def decode_residuals(data: Tensor, deviations: Tensor, neighbors: Tensor) -> Tensor:
    """The numbers [N, C] int32 that `encode_residuals` coded with the same deviations and neighbours; damaged
    bytes give other numbers."""
    result: Tensor = torch.ops.gsplat_core.decode_residuals(data, deviations, neighbors)
    return result


def encode_labels(labels: Tensor, neighbors: Tensor, bits: int) -> Tensor:
    """Codes labels [N] int32 in [0, 2^bits), bits up to 16, as bytes [B] uint8.

    Args:
        labels: numbers of codes in a codebook where codes with a common prefix resemble each other.
        neighbors: [N, 3] int32 as for `encode_table`; their labels say which prefixes are likely.
        bits: length of the labels.
    """
    result: Tensor = torch.ops.gsplat_core.encode_labels(labels, neighbors, bits)
    return result


def decode_labels(data: Tensor, neighbors: Tensor, bits: int) -> Tensor:
    """The labels [N] int32 that `encode_labels` coded; damaged bytes give other labels below 2^bits."""
    result: Tensor = torch.ops.gsplat_core.decode_labels(data, neighbors, bits)
    return result


def encode_ascending(codes: Tensor) -> Tensor:
    """Codes [N] int64 that ascend, from 0 to below 2^62, as bytes [B] uint8."""
    result: Tensor = torch.ops.gsplat_core.encode_ascending(codes)
    return result


def decode_ascending(data: Tensor, count: int) -> Tensor:
    """The codes [count] int64 that `encode_ascending` coded; damaged bytes give other codes below 2^62."""
    result: Tensor = torch.ops.gsplat_core.decode_ascending(data, count)
    return result


def earlier_neighbors(positions: Tensor) -> Tensor:
    """For points [N, 3] int32 in an order that keeps near ones together: three near earlier rows each.

    Returns:
        [N, 3] int32: the nearest among the 48 rows before, nearest first, or -1 where there are fewer.
    """
    result: Tensor = torch.ops.gsplat_core.earlier_neighbors(positions)
    return result


@torch.library.register_fake("gsplat_core::encode_table")
def _(values: Tensor, neighbors: Tensor) -> Tensor:
    return values.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.uint8)


@torch.library.register_fake("gsplat_core::decode_table")
def _(data: Tensor, neighbors: Tensor, channels: int) -> Tensor:
    return neighbors.new_empty((neighbors.shape[0], channels))


@torch.library.register_fake("gsplat_core::encode_residuals")
def _(values: Tensor, deviations: Tensor, neighbors: Tensor) -> Tensor:
    return values.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.uint8)


@torch.library.register_fake("gsplat_core::decode_residuals")
def _(data: Tensor, deviations: Tensor, neighbors: Tensor) -> Tensor:
    return torch.empty_like(deviations)


@torch.library.register_fake("gsplat_core::encode_labels")
def _(labels: Tensor, neighbors: Tensor, bits: int) -> Tensor:
    return labels.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.uint8)


@torch.library.register_fake("gsplat_core::decode_labels")
def _(data: Tensor, neighbors: Tensor, bits: int) -> Tensor:
    return neighbors.new_empty(neighbors.shape[0])


@torch.library.register_fake("gsplat_core::encode_ascending")
def _(codes: Tensor) -> Tensor:
    return codes.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.uint8)


@torch.library.register_fake("gsplat_core::decode_ascending")
def _(data: Tensor, count: int) -> Tensor:
    return data.new_empty(count, dtype=torch.int64)


@torch.library.register_fake("gsplat_core::earlier_neighbors")
def _(positions: Tensor) -> Tensor:
    return torch.empty_like(positions)
