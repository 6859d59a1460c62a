"""Optical flow without a network and without other packages: blocks are searched for from coarse to fine.

At each level of a pyramid, the block around a pixel is compared with those near where the coarser level
leads, after brightness and contrast of both were taken out (so the sum of squares is that of normalized
cross-correlation). The best one is refined to parts of a pixel by Lucas and Kanade's iteration (1981), and
medians over neighbours take out who went astray. It finds what has texture and moves smoothly; at the edges
of what moves differently, and where nothing is to be seen, it is wrong, which shows when the way back is
looked for (`gsplat_core.sequence.flow_files.agree`).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional

COARSEST = 12
"""Pixels along the shorter side of the smallest level."""
HALF = 3
"""A block has 2 * HALF + 1 pixels along each side."""
REACH = 2
"""Pixels of a level that a block is searched for around where the coarser one leads."""
FIRST_REACH = 4
"""The same on the coarsest level."""
REFINEMENTS = 4
_NOISE = 4e-3
"""Contrast, of colours in [0, 1], below which there is nothing to be compared."""
_STAYING = 2e-3
"""What a candidate one pixel away costs more than one that is not, so that blocks without texture stay."""


@torch.no_grad()
def block_flow(first: Tensor, second: Tensor) -> Tensor:
    """[H, W, 2] where what a pixel of the first image shows is in the second one, in pixels right and down.

    Args:
        first, second: [H, W, 3] or [H, W], in [0, 1], of one size.
    """
    levels = list(zip(_pyramid(first), _pyramid(second), strict=True))[::-1]
    height, width = levels[0][0].shape[-2:]
    flow = first.new_zeros(1, 2, height, width)
    for number, (one, other) in enumerate(levels):
        flow = _of_size(flow, one.shape[-2], one.shape[-1])
        one, other = _plain(one), _plain(other)
        # The coarsest level has none to begin from.
        flow = _median(_searched(one, other, flow, REACH if number else FIRST_REACH))
        for _ in range(REFINEMENTS):
            flow = _refined(one, other, flow)
        flow = _median(flow)
    return flow[0].permute(1, 2, 0).contiguous()


def _pyramid(image: Tensor) -> list[Tensor]:
    """Grey images [1, 1, H, W], each half as large as the one before."""
    grey = image if image.dim() == 2 else image.mean(dim=-1)
    levels = [grey[None, None]]
    while min(levels[-1].shape[-2:]) >= 2 * COARSEST:
        half = [(side + 1) // 2 for side in levels[-1].shape[-2:]]
        levels.append(functional.interpolate(levels[-1], half, mode="area"))
    return levels


def _of_size(flow: Tensor, height: int, width: int) -> Tensor:
    scale = flow.new_tensor([width / flow.shape[-1], height / flow.shape[-2]])
    larger = functional.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
    return larger * scale[:, None, None]


def _block_mean(image: Tensor) -> Tensor:
    """The mean over the block around each pixel, of what of it is inside."""
    side = 2 * HALF + 1
    across = functional.avg_pool2d(image, (1, side), 1, (0, HALF), count_include_pad=False)
    return functional.avg_pool2d(across, (side, 1), 1, (HALF, 0), count_include_pad=False)


def _plain(image: Tensor) -> Tensor:
    """Without the brightness and contrast of each block."""
    centred = image - _block_mean(image)
    return centred / (_block_mean(centred.square()) + _NOISE**2).sqrt()


def _led(image: Tensor, flow: Tensor) -> Tensor:
    """What an image shows where a flow leads; outside, its border."""
    height, width = image.shape[-2:]
    x = torch.arange(width, device=image.device) + flow[:, 0]
    y = torch.arange(height, device=image.device)[:, None] + flow[:, 1]
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=False)


def _difference(one: Tensor, other: Tensor, flow: Tensor) -> Tensor:
    """[1, 1, H, W] how different the blocks are that a flow takes for the same."""
    return _block_mean((one - _led(other, flow)).square())


def _searched(one: Tensor, other: Tensor, flow: Tensor, reach: int) -> Tensor:
    """The flow with each pixel's best change by up to so many pixels."""
    best, lowest = flow, torch.full_like(one, torch.inf)
    for x, y in itertools.product(range(-reach, reach + 1), repeat=2):
        candidate = flow + flow.new_tensor([x, y])[:, None, None]
        cost = _difference(one, other, candidate) + _STAYING * (x * x + y * y)
        better = cost < lowest
        best, lowest = torch.where(better, candidate, best), torch.where(better, cost, lowest)
    return best


def _refined(one: Tensor, other: Tensor, flow: Tensor) -> Tensor:
    """A step of Gauss-Newton for each block, taken where it brings the blocks nearer."""
    there = _led(other, flow)
    padded = functional.pad((one + there) / 2, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    apart = one - there
    xx, xy, yy, x, y = _block_mean(torch.cat([dx * dx, dx * dy, dy * dy, dx * apart, dy * apart])).unbind()
    damping = 1e-3 * (xx + yy) + 1e-6
    xx, yy = xx + damping, yy + damping
    determinant = xx * yy - xy * xy
    step = torch.stack([yy * x - xy * y, xx * y - xy * x], dim=1) / determinant
    candidate = flow + step.clamp(-1, 1)
    better = _difference(one, other, candidate) < _difference(one, other, flow)
    return torch.where(better, candidate, flow)


def _median(flow: Tensor) -> Tensor:
    """Each number is the median of those of the 3 x 3 pixels around."""
    padded = functional.pad(flow, (1, 1, 1, 1), mode="replicate")
    height, width = flow.shape[-2:]
    around = [padded[..., y : y + height, x : x + width] for y, x in itertools.product(range(3), repeat=2)]
    return torch.stack(around).median(dim=0).values
