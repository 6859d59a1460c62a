"""Cells of an octree: few points each, as large as that allows, near ones together."""

from __future__ import annotations

import torch

from gsplat_core.octree import group_means, octree_cells


def points(num: int = 500) -> torch.Tensor:
    """Dense in places and sparse in others, some at one place."""
    random = torch.Generator().manual_seed(0)
    return torch.cat([torch.randn(num, 3, generator=random) ** 3, torch.ones(20, 3)])


def test_cells_hold_few_points_but_for_those_at_one_place() -> None:
    cells = octree_cells(points(), 6)
    sizes = torch.bincount(cells)
    assert int(sizes.min()) >= 1
    assert sizes.sort(descending=True).values[0] == 20
    assert sizes.sort(descending=True).values[1] <= 6


def test_cells_are_cubes_whose_parents_hold_too_many() -> None:
    places = points()
    cells, corner = octree_cells(places, 6), places.amin(dim=0).double()
    side = float((places.amax(dim=0) - places.amin(dim=0)).max())
    for cell in range(0, int(cells.max()) + 1, 7):
        inside = (places[cells == cell].double() - corner) / side * (1 - 2**-20)
        levels = [k for k in range(21) if len((inside * 2**k).floor().unique(dim=0)) == 1]
        whole = (places.double() - corner) / side * (1 - 2**-20)
        for k in levels:
            together = ((whole * 2**k).floor() == (inside[:1] * 2**k).floor()).all(dim=1).sum()
            if together <= 6:
                assert int(together) == len(inside)
                break


def test_the_order_of_points_does_not_matter_and_there_may_be_none() -> None:
    places = points()
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(1))
    assert torch.equal(octree_cells(places[order], 4), octree_cells(places, 4)[order])
    assert octree_cells(places[:0], 4).shape == (0,)
    assert octree_cells(places[:1], 4).tolist() == [0]


def test_means_of_groups() -> None:
    groups = torch.tensor([2, 0, 2, 2])
    means = group_means(torch.tensor([[1.0], [5.0], [2.0], [6.0]]), groups, 3)
    assert means[:, 0].nan_to_num(-1).tolist() == [5, -1, 3]
