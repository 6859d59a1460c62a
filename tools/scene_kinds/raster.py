"""A z-buffer: which triangle of a mesh each pixel shows."""

from __future__ import annotations

import torch
from torch import Tensor

FRAGMENTS = 3_000_000  # at a time, to bound memory


def rasterize(screen: Tensor, key: Tensor, faces: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """The nearest face (-1: none) of every pixel, and its key there (0: none), both [H*W].

    Vertices are at screen [V,2] pixels; their key [V] is linear on the screen and positive, and larger is
    nearer: the inverse depth of a perspective camera. Faces with a corner whose key is not positive are left
    out.
    """
    corners, keys = screen[faces], key[faces]
    size = torch.tensor([width, height])
    low = (corners.amin(1) - 0.5).ceil().clamp(min=0)
    high = torch.minimum((corners.amax(1) - 0.5).floor(), size - 1.0)
    shown = ((keys > 0).all(1) & (low <= high).all(1)).nonzero()[:, 0]
    low, extent = low[shown].long(), (high - low)[shown].long() + 1
    count = extent.prod(1)
    ends = count.cumsum(0)
    best = torch.zeros(width * height, dtype=torch.int64)
    start = 0
    while start < len(shown):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(torch.searchsorted(ends, before + FRAGMENTS)))
        _draw(best, corners, keys, shown[start:stop], low[start:stop], extent[start:stop], width)
        start = stop
    face = (best & 0xFFFFFFFF) - 1
    return face, (best >> 32).to(torch.int32).view(torch.float32)


def _draw(
    best: Tensor, corners: Tensor, keys: Tensor, chosen: Tensor, low: Tensor, extent: Tensor, width: int
) -> None:
    """Raises `best` (the key's bits, then the face's number + 1) by the fragments of the chosen faces."""
    count = extent.prod(1)
    which = torch.repeat_interleave(torch.arange(len(chosen)), count)
    rank = torch.arange(len(which)) - (count.cumsum(0) - count)[which]
    columns = extent[:, 0][which]
    x = low[:, 0][which] + rank % columns
    y = low[:, 1][which] + rank // columns
    a, b, c = (corners[chosen, k] for k in range(3))
    area = _cross(b - a, c - a)
    area = torch.where(area == 0, torch.inf, area)
    # Edge functions are linear in (x, y): their coefficients are worked out once for each face.
    px, py = x + 0.5, y + 0.5
    value = torch.zeros(len(which))
    inside = torch.ones(len(which), dtype=torch.bool)
    for k, (p, q) in enumerate(((b, c), (c, a), (a, b))):
        dx, dy = ((q - p) / area[:, None]).unbind(1)
        part = dx[which] * (py - p[:, 1][which]) - dy[which] * (px - p[:, 0][which])
        inside &= part >= 0
        value += part * keys[chosen, k][which]
    inside &= value > 0
    packed = (value[inside].view(torch.int32).long() << 32) | (chosen[which[inside]] + 1)
    best.scatter_reduce_(0, y[inside] * width + x[inside], packed, "amax")


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
