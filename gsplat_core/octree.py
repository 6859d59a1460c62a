"""Points in groups of near ones: the largest cells of an octree that hold few enough of them."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.morton import morton_codes

_LEVELS = 20


@torch.no_grad()
def octree_cells(points: Tensor, most: int) -> Tensor:
    """[P] int64 for points [P, 3]: the cell that each is in, numbered from 0 along the Morton curve.

    The cube around all points is divided into eight, and again, until a cell holds at most `most` points, or
    its sides are 2^-20 of the first.
    """
    if not len(points):
        return torch.zeros(0, dtype=torch.int64, device=points.device)
    low, high = (end.double() for end in points.aminmax(dim=0))
    scale = (2**_LEVELS - 1) / (high - low).amax().clamp(min=1e-30)
    codes, order = morton_codes(((points.double() - low) * scale).long()).sort(stable=True)
    cells = torch.full_like(codes, -1)
    for level in range(_LEVELS + 1):
        prefixes = codes >> 3 * (_LEVELS - level)
        _, group, sizes = prefixes.unique_consecutive(return_inverse=True, return_counts=True)
        few = (sizes[group] <= most) | (level == _LEVELS)
        cells = torch.where((cells < 0) & few, prefixes * (_LEVELS + 1) + level, cells)
    numbers = cells.unique_consecutive(return_inverse=True)[1]
    return torch.empty_like(numbers).index_copy_(0, order, numbers)


def group_means(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """[count, D], the mean of the rows [P, D] of each group; NaN for a group of none.

    Args:
        groups: [P] int64 below `count`, the group of each row.
    """
    sums = values.new_zeros(count, values.shape[1])
    sums.scatter_add_(0, groups[:, None].expand_as(values), values)
    return sums / torch.bincount(groups, minlength=count)[:, None]
