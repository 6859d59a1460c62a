"""Memory for a tensor whose number of rows changes again and again."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.densify.plan import RowPlan

# Rows that close up are carried over in pieces of this size, so that no second copy of a scene is needed.
_CHUNK = 1 << 16


class RowBuffer:
    """Keeps a tensor [N, ...] at the front of an allocation with room for more rows.

    When room runs out for rows that are added, it doubles, so that a scene that grows to N rows in however
    many steps is reallocated O(log N) times. When less than a quarter is in use, memory is given back.

    Memory that the caller brought is never written to: the first change of rows moves the tensor in here.

    Attributes:
        reallocations: how often rows were moved to another allocation, that first time included.
    """

    def __init__(self) -> None:
        self._storage: Tensor | None = None
        self.reallocations = 0

    def follow(self, tensor: Tensor, plan: RowPlan, blank: bool = False, most: int | None = None) -> Tensor:
        """The tensor after a change of rows; values that edits give are not set yet.

        Args:
            tensor: [plan.num_before, ...], as this method returned it, or any other.
            plan: the change.
            blank: rows that are copies of others become zero instead (an optimizer's moments).
            most: rows that will never be exceeded, if known; no room is made beyond.

        Returns:
            [plan.num_after, ...], contiguous, in this buffer's memory. The input is no longer valid.
        """
        incoming = torch.cat([plan.copied_from, plan.added_from])
        copies = None if blank else tensor.index_select(0, incoming)
        storage = self._closed_up(tensor, plan, most)
        followed = storage[: plan.num_after]
        copied, kept = len(plan.copied_rows), plan.num_kept
        if copies is None:
            followed.index_fill_(0, plan.copied_rows, 0)
            followed[kept:] = 0
        else:
            followed.index_copy_(0, plan.copied_rows, copies[:copied])
            followed[kept:] = copies[copied:]
        return followed

    def _closed_up(self, tensor: Tensor, plan: RowPlan, most: int | None) -> Tensor:
        """Storage for all rows after the change, with the kept ones at its front."""
        storage = self._storage
        inside = storage is not None and tensor.data_ptr() == storage.data_ptr()
        if storage is not None and inside and len(storage) // 4 <= plan.num_after <= len(storage):
            _close_up(storage, plan)
            return storage
        capacity = plan.num_after
        if plan.num_after > plan.num_before:
            capacity = max(capacity, min(2 * capacity, most or 2 * capacity))
        storage = tensor.new_empty((capacity, *tensor.shape[1:]))
        if plan.kept is None:
            storage[: plan.num_kept] = tensor
        else:
            torch.index_select(tensor, 0, plan.kept, out=storage[: plan.num_kept])
        self._storage = storage
        self.reallocations += 1
        return storage


def _close_up(storage: Tensor, plan: RowPlan) -> None:
    """Moves the kept rows to the front, in place.

    Where they ascend, no row moves backwards, and a piece only overwrites what was read already.
    """
    kept = plan.kept
    if kept is None:
        return
    if not plan.ascending:
        storage[: len(kept)] = storage.index_select(0, kept)
        return
    moves = kept != torch.arange(len(kept), device=kept.device)
    first = int((~moves).sum())  # rows before the first gap stay
    for begin in range(first, len(kept), _CHUNK):
        end = min(begin + _CHUNK, len(kept))
        storage[begin:end] = storage.index_select(0, kept[begin:end])
