"""Which group each of many rows belongs to, coded by what near rows before it belong to.

Rows are in an order that keeps near ones together, and groups are numbered in the order in which they come
up. Then most rows are of the group of one of three near earlier rows, or of the next new one, which is one of
five symbols; few have to name an older group.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.compress.latents import rows_before
from gsplat_core.ops.context_coder import NEIGHBORS, decode_table, encode_table

_NEW, _OLDER = NEIGHBORS, NEIGHBORS + 1


def numbered(groups: Tensor) -> tuple[Tensor, Tensor]:
    """Groups [N] int64 by other numbers, from 0 in the order in which they come up.

    Returns:
        [N] int64, and [G] which number each had.
    """
    names, inverse = groups.unique(return_inverse=True)
    rows = torch.arange(len(groups))
    first = torch.full((len(names),), len(groups)).scatter_reduce(0, inverse, rows, "amin")
    order = first.argsort(stable=True)
    return order.argsort(stable=True)[inverse], names[order]


def encode_links(groups: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Two streams [B] uint8: the symbols of rows, and the groups of those that name an older one.

    Args:
        groups: [N] int64, numbered as by `numbered`.
        near: [N, 3] int32, for each row near earlier ones, nearest first, or -1.
    """
    known = near >= 0
    alike = known & (groups[near.clamp(min=0).long()] == groups[:, None])
    symbols = torch.where(alike.any(dim=1), alike.int().argmax(dim=1), _OLDER)
    seen = torch.cat([groups.new_full((1,), -1), groups.cummax(0).values[:-1]]) if len(groups) else groups
    symbols = torch.where(groups > seen, _NEW, symbols)
    older = groups[symbols == _OLDER]
    return encode_table(symbols[:, None].int(), near), encode_table(
        older[:, None].int(), rows_before(len(older))
    )


def decode_links(symbols: Tensor, older: Tensor, near: Tensor, most: int) -> Tensor:
    """The groups [N] int64 of these streams, below `most`; damaged streams give other ones."""
    symbols = decode_table(symbols, near, 1)[:, 0].long().clamp(0, _OLDER)
    rows = torch.arange(len(symbols))
    # Each row refers to an earlier one, or to itself where it tells its group.
    nearest = near.gather(1, symbols.clamp(max=NEIGHBORS - 1)[:, None])[:, 0].long()
    new = (symbols == _NEW) | ((symbols < NEIGHBORS) & (nearest < 0))
    groups = new.long().cumsum(0) - 1
    named = symbols == _OLDER
    table = decode_table(older, rows_before(int(named.sum())), 1)[:, 0].long()
    groups[named] = table
    source = torch.where(new | named, rows, nearest.clamp(min=0))
    for _ in range(max(len(rows), 1).bit_length()):
        source = source[source]
    return groups[source].clamp(0, max(most - 1, 0))
