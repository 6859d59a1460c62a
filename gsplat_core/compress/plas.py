"""Self-organising grids: vectors in a rectangle whose neighbours are alike (PLAS, Morgenstern et al. 2024).

The published algorithm begins with a random order and takes minutes on a GPU for a million vectors. Here the
picture begins with a space-filling curve through the vectors laid along a space-filling curve through the
rectangle, which has the large-scale order already, and only narrow blurs refine it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.morton import morton_codes
from gsplat_core.ops.grid_sort import grid_sort

_CURVE_BITS = 16


def grid_shape(count: int) -> tuple[int, int]:
    """Height and width of the nearly square rectangle whose cells are at most, and almost, `count`."""
    width = max(1, int(count**0.5))
    return count // width, width


def sorted_grid(features: Tensor, seed: int = 0, radius: float = 31.0, improvement: float = 1e-3) -> Tensor:
    """An order of vectors in which the picture of the first H x W (`grid_shape`), row by row, is smooth.

    Args:
        features: [N, C] float32, finite; distances are Euclidean. Channels 0 to 2, where there are as many,
            should be those with the most large-scale structure, such as positions.
        seed: of the exchanges.
        radius: of the blur to begin with, in cells.
        improvement: see `grid_sort`.

    Returns:
        [N] int64, a permutation. What does not fit into the rectangle stands at the end.
    """
    count = len(features)
    if count < 4:
        return torch.arange(count, device=features.device)
    height, width = grid_shape(count)
    along = _along_curve(features)
    fitting = along[: height * width]
    start = torch.empty_like(fitting)
    start[hilbert_cells(height, width).to(start.device)] = fitting
    picture = features[start].reshape(height, width, -1)
    _, order = grid_sort(picture, seed, min(radius, max(height, width) / 2), improvement=improvement)
    return torch.cat([start[order.reshape(-1).long()], along[height * width :]])


def _along_curve(features: Tensor) -> Tensor:
    """The vectors in the order of a Hilbert curve through their first three channels, by rank."""
    cells = torch.zeros(len(features), 3, dtype=torch.long, device=features.device)
    for axis in range(min(3, features.shape[1])):
        ranks = features[:, axis].sort(stable=True).indices.sort(stable=True).indices
        cells[:, axis] = ranks * (2**_CURVE_BITS) // len(features)
    return hilbert_codes(cells, _CURVE_BITS).sort(stable=True).indices


def hilbert_codes(cells: Tensor, bits: int) -> Tensor:
    """Where along a Hilbert curve the cells [N, D] of a cube of side 2^bits lie, D 2 or 3 (Skilling 2004)."""
    dimensions = cells.shape[1]
    x = [cells[:, axis].clone() for axis in range(dimensions)]
    for bit in range(bits - 1, 0, -1):
        low = (1 << bit) - 1
        for axis in range(dimensions):
            is_set = (x[axis] >> bit) & 1 == 1
            exchange = torch.where(is_set, 0, (x[0] ^ x[axis]) & low)
            x[0] = torch.where(is_set, x[0] ^ low, x[0] ^ exchange)
            if axis:
                x[axis] = x[axis] ^ exchange
    for axis in range(1, dimensions):
        x[axis] = x[axis] ^ x[axis - 1]
    flips = torch.zeros_like(x[0])
    for bit in range(bits - 1, 0, -1):
        flips = torch.where((x[-1] >> bit) & 1 == 1, flips ^ ((1 << bit) - 1), flips)
    x = [axis ^ flips for axis in x]
    if dimensions == 3:
        return morton_codes(torch.stack(x[::-1], dim=1))
    zeros = torch.zeros_like(x[0])
    # In two dimensions every third bit of the Morton code is empty, which changes no order.
    return morton_codes(torch.stack([*x[::-1], zeros], dim=1))


def hilbert_cells(height: int, width: int) -> Tensor:
    """The cells of a rectangle, as row-major numbers [height * width], in the order of a Hilbert curve."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    bits = max(1, (max(height, width) - 1).bit_length())
    return hilbert_codes(torch.stack([y.reshape(-1), x.reshape(-1)], dim=1), bits).sort(stable=True).indices


def roughness(picture: Tensor) -> float:
    """The variance of the absolute differences of neighbours in a picture [H, W, C], mean of both axes."""
    along_x = (picture[:, 1:] - picture[:, :-1]).abs().var()
    along_y = (picture[1:] - picture[:-1]).abs().var()
    return float((along_x + along_y) / 2)
