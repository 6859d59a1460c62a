"""What other photographs have at the places in the scene that one photograph shows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gsplat_core.densify.two_views import center, inside, project, rays
from gsplat_core.densify.views import Lens


def points_shown(lens: Lens, depths: Tensor) -> Tensor:
    """[h w, 3] where in the scene the middles of a grid of cells [h, w] are, row by row.

    Args:
        depths: [h, w] of the cells, of which the grid divides the image evenly.
    """
    height, width = depths.shape
    y = (torch.arange(height, device=depths.device) + 0.5) * (lens.height / height)
    x = (torch.arange(width, device=depths.device) + 0.5) * (lens.width / width)
    pixels = torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=1)
    return center(lens).to(depths) + depths.reshape(-1, 1) * rays(lens, pixels)


def values_there(
    points: Tensor,
    lenses: Sequence[Lens],
    values: Sequence[Tensor],
    depths: Sequence[Tensor],
    tolerance: float,
) -> Tensor:
    """[M, P] what each of M photographs has at the points [P, 3]; NaN where it does not show them.

    Args:
        lenses: of the photographs.
        values, depths: [h, w] of each, of cells that divide its image evenly; a depth of 0 where there is
            none.
        tolerance: a cell shows a point whose depth differs from its own by at most this share.
    """
    found = points.new_full((len(lenses), len(points)), torch.nan)
    for row, lens, value, depth in zip(found, lenses, values, depths, strict=True):
        pixels, distance = project(lens, points)
        height, width = value.shape
        seen = (distance > 0) & inside(lens, pixels)
        column = (pixels[:, 0] * (width / lens.width)).nan_to_num().clamp(0, width - 1).long()
        line = (pixels[:, 1] * (height / lens.height)).nan_to_num().clamp(0, height - 1).long()
        there = depth[line, column]
        seen &= (there > 0) & ((distance - there).abs() <= tolerance * distance)
        row[seen] = value[line, column][seen]
    return found
