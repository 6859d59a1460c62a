"""Depths of frames as few numbers: logarithms on a coarse grid, with cubic interpolation between them."""

from __future__ import annotations

import torch
from torch import Tensor


class DepthSamples:
    """Where depths are asked for; which numbers of the grids that takes is found once.

    Args:
        frames: [S] int64.
        places: [S, 2] x and y as shares of the width and the height.
        shape: of the grids: frames, rows, columns.
    """

    def __init__(self, frames: Tensor, places: Tensor, shape: tuple[int, int, int]) -> None:
        _, height, width = shape
        x, across = _cubic(places[:, 0] * width - 0.5, width)
        y, down = _cubic(places[:, 1] * height - 0.5, height)
        self._rows = ((frames[:, None, None] * height + y[:, :, None]) * width + x[:, None, :]).flatten(1)
        self._weights = (down[:, :, None] * across[:, None, :]).flatten(1)

    def of(self, logarithms: Tensor) -> Tensor:
        """[S] depths of grids [frames, rows, columns], differentiable."""
        found = logarithms.flatten()[self._rows]
        return (found * self._weights).sum(dim=1).exp()


def _cubic(at: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Indices [S, 4] and weights [S, 4] of Keys' interpolation (1981) at places [S] in units of a cell;
    beyond the border, the border's numbers."""
    base = at.floor()
    t = (at - base)[:, None]
    distance = (t - torch.tensor([-1.0, 0.0, 1.0, 2.0])).abs()
    near = (1.5 * distance - 2.5) * distance.square() + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance <= 1, near, far)
    return (base.long()[:, None] + torch.arange(-1, 3)).clamp(0, size - 1), weights
