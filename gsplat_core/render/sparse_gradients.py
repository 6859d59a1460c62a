"""Gradients of Gaussians as sparse tensors (COO), with rows of those that a camera sees: `sparse_grad`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class SeenRows:
    """Which rows the gradients will have. Known once the Gaussians have been projected."""

    def __init__(self) -> None:
        self.rows: Tensor | None = None

    def set(self, gaussian_ids: Tensor) -> None:
        """From the numbers of visible Gaussians, in any order, some of them several times."""
        self.rows = torch.unique(gaussian_ids)


class _SparseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, seen: SeenRows) -> Tensor:
        ctx.seen = seen
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        rows = ctx.seen.rows
        assert rows is not None
        sparse = torch.sparse_coo_tensor(
            rows[None],
            gradient.index_select(0, rows),
            gradient.shape,
            check_invariants=False,
            is_coalesced=True,
        )
        return sparse, None


def sparse_gradients(packed: bool, seen: SeenRows, *tensors: Tensor | None) -> tuple[Any, ...]:
    """The tensors [N, ...] as they are, whose gradients are sparse. Rows that no camera sees have none.

    Raises:
        ValueError: `packed`, an argument too, is off, or the tensors have batch dimensions.
    """
    if not packed or any(tensor is not None and tensor.dim() != 2 for tensor in tensors[:3]):
        raise ValueError("argument 'sparse_grad' needs packed=True, and tensors without batch dimensions")
    return tuple(None if tensor is None else _SparseGradient.apply(tensor, seen) for tensor in tensors)
