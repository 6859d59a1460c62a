"""Where in an image the rendering is wrong (Yang et al. 2024, "Localized Gaussian Point Management")."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def error_map(image: Tensor, photograph: Tensor) -> Tensor:
    """[H, W] difference of two images [H, W, 3], each divided by its mean: blind to exposure."""

    def normalized(values: Tensor) -> Tensor:
        return values / (values.mean() + 0.01)

    return (normalized(image) - normalized(photograph)).abs().sum(dim=-1)


def block_size(width: int, height: int) -> int:
    """16 pixels, as published, for images of 1600 pixels; in proportion for smaller ones, at least 4."""
    return min(max(round(max(width, height) / 100), 4), 16)


def error_regions(
    errors: Tensor,
    quantile: float,
    significant: float,
    block: int | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Boxes around connected blocks of pixels that are mostly wrong.

    Args:
        errors: [H, W].
        quantile: pixels with errors above this quantile are wrong.
        significant: a block counts if more than this share of its pixels are.
        block: its side; None for `block_size`.
        mask: [H, W] bool, the pixels of which the quantile is; others are right. None: all.

    Returns:
        [R, 4] x0, y0, x1, y1 in pixels, x1 and y1 exclusive.
    """
    height, width = errors.shape
    side = block_size(width, height) if block is None else block
    counted = errors.flatten() if mask is None else errors[mask]
    if not len(counted):
        return torch.zeros(0, 4)
    wrong = (errors > counted.quantile(quantile)).float()
    if mask is not None:
        wrong = wrong * mask
    rows, columns = math.ceil(height / side), math.ceil(width / side)
    padded = torch.nn.functional.pad(wrong, (0, columns * side - width, 0, rows * side - height))
    share = padded.reshape(rows, side, columns, side).mean(dim=(1, 3))
    labels = _components(share > significant)
    boxes = []
    for label in labels[labels > 0].unique():
        y, x = (labels == label).nonzero().unbind(dim=1)
        boxes.append(
            [
                int(x.min()) * side,
                int(y.min()) * side,
                min(int(x.max() + 1) * side, width),
                min(int(y.max() + 1) * side, height),
            ]
        )
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def _components(mask: Tensor) -> Tensor:
    """[H, W] a number > 0 per 8-connected component of a mask, 0 outside: the largest of its cells' numbers,
    which spreads from neighbour to neighbour until nothing changes."""
    cells = torch.arange(1, mask.numel() + 1, dtype=torch.float32, device=mask.device).reshape(mask.shape)
    labels = cells * mask
    while True:
        spread = torch.nn.functional.max_pool2d(labels[None], 3, stride=1, padding=1)[0] * mask
        if torch.equal(spread, labels):
            return labels
        labels = spread
