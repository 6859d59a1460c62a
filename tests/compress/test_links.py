"""Whose each row is, coded by what near rows are."""

from __future__ import annotations

import pytest
import torch

from gsplat_core.compress.links import decode_links, encode_links, numbered
from gsplat_core.morton import morton_cells, morton_codes
from gsplat_core.octree import octree_cells
from gsplat_core.ops.context_coder import earlier_neighbors


def rows(num: int = 3000) -> tuple[torch.Tensor, torch.Tensor]:
    """Groups of points in Morton order, and near earlier rows."""
    random = torch.Generator().manual_seed(0)
    codes = morton_codes((1000 * torch.rand(num, 3, generator=random)).long()).sort().values
    cells = morton_cells(codes)
    return octree_cells(cells.float(), 8), earlier_neighbors(cells.int())


def test_numbers_rise_as_groups_come_up() -> None:
    groups, names = numbered(torch.tensor([7, 7, 3, 9, 3, 7]))
    assert groups.tolist() == [0, 0, 1, 2, 1, 0]
    assert names.tolist() == [7, 3, 9]


@pytest.mark.parametrize("num", [0, 1, 2, 3000])
def test_groups_come_back(num: int) -> None:
    groups, near = rows()
    groups, names = numbered(groups[:num])
    streams = encode_links(groups, near[:num])
    assert torch.equal(decode_links(*streams, near[:num], len(names)), groups)


def test_groups_without_any_order_come_back_too_and_near_ones_take_few_bits() -> None:
    groups, near = rows()
    random = groups[torch.randperm(len(groups), generator=torch.Generator().manual_seed(2))]
    sizes = []
    for some in (groups, random):
        some, names = numbered(some)
        streams = encode_links(some, near)
        assert torch.equal(decode_links(*streams, near, len(names)), some)
        sizes.append(8 * sum(map(len, streams)) / len(some))
    assert sizes[0] < 5 < 7 < sizes[1]


def test_damaged_streams_give_other_groups_in_range() -> None:
    groups, near = rows()
    groups, names = numbered(groups)
    symbols, older = encode_links(groups, near)
    random = torch.Generator().manual_seed(3)
    for stream in (symbols, older):
        stream[2:] = torch.randint(256, stream[2:].shape, generator=random).to(torch.uint8)
    decoded = decode_links(symbols, older, near, len(names))
    assert decoded.shape == groups.shape
    assert 0 <= int(decoded.min()) <= int(decoded.max()) < len(names)
