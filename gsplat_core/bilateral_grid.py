"""Bilateral grids: changes of colour that depend on the place in an image and on how bright it is there.

A grid holds an affine change of colours at each node of a coarse lattice over width, height and brightness
(Chen et al. 2007). What a pixel gets is interpolated between the nodes around it, the pixel's own brightness
being its third coordinate: vignetting, tone curves and local adjustments of a camera are such functions, and
so smooth ones that they cannot draw (Wang et al. 2024, "Bilateral guided radiance field processing").

Nodes lie as those of gsplat's `BilateralGrid` and its `slice`, the first and the last on the borders of the
image, at black and at white. Brightness is looked at, not changed: no gradient flows through the coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue are (BT.601)."""


def identity_grid(width: int = 16, height: int = 16, levels: int = 8) -> Tensor:
    """[12, levels, height, width] the grid that changes nothing: the rows of [3, 4] matrices at its nodes."""
    return torch.eye(3, 4).reshape(12, 1, 1, 1).repeat(1, levels, height, width)


def total_variation(grid: Tensor) -> Tensor:
    """The mean square of the differences between neighbours along an axis of a grid [12, L, H, W], of all
    axes together."""
    steps = [grid.diff(dim=axis).square().mean() for axis in (1, 2, 3) if grid.shape[axis] > 1]
    return torch.stack(steps).sum() if steps else grid.sum() * 0


def sliced(grid: Tensor, light: Tensor, alphas: Tensor, block: int = 1) -> Tensor:
    """An image with its colours changed.

    Args:
        grid: [12, L, GH, GW] float32; its columns' last one is added as far as `alphas` say.
        light: [H, W, 3] float32; what is darker than 0 or brighter than 1 is changed as black or white is.
        alphas: [H, W, 1] float32.
        block: the change is looked up once for each square of so many pixels a side, with their mean
            brightness. 1 is exact; 2 takes a third of the time, and nodes are many pixels apart.

    Returns:
        [H, W, 3], differentiable once.

    Raises:
        ValueError: wrong shapes.
    """
    if grid.ndim != 4 or grid.shape[0] != 12 or light.ndim != 3 or light.shape[2] != 3:
        raise ValueError(
            f"expected a grid [12, L, GH, GW] and light [H, W, 3], got {list(grid.shape)} and "
            f"{list(light.shape)}"
        )
    return _Sliced.apply(grid, torch.cat([light, alphas], dim=2), block)  # type: ignore[no-untyped-call]


class _Sliced(torch.autograd.Function):
    """Written out, since autograd's own way through these steps takes three times as long."""

    @staticmethod
    def forward(ctx: Any, grid: Tensor, pixels: Tensor, block: int) -> Tensor:
        size = pixels.shape[:2]
        planes = _in_blocks(pixels, block)  # [S, 4, h, w]
        rows, places = _coordinates(grid, planes, size, block)
        by_row = torch.einsum("hy,clyx->hclx", rows, grid)
        # Each row of blocks is an image of brightness and width of its own, which PyTorch samples fast.
        changes = torch.nn.functional.grid_sample(by_row, places, padding_mode="border", align_corners=True)
        changes = changes[:, :, 0].transpose(0, 1).contiguous().unflatten(0, (3, 4))
        ctx.save_for_backward(planes, changes, rows, places, by_row)
        ctx.size, ctx.block = size, block
        changed = changes[:, 3] * planes[:, 3:]
        for k in range(3):
            changed.addcmul_(changes[:, k], planes[:, k : k + 1])
        return _in_place(changed, size, block)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        planes, changes, rows, places, by_row = ctx.saved_tensors
        of_changed = _in_blocks(gradient, ctx.block)  # [S, 3, h, w]
        of_grid = of_pixels = None
        if ctx.needs_input_grad[0]:
            columns = [(of_changed * planes[:, k : k + 1]).sum(0) for k in range(4)]
            of_changes = torch.stack(columns, dim=1).flatten(0, 1).transpose(0, 1).unsqueeze(2).contiguous()
            of_rows, _ = torch.ops.aten.grid_sampler_2d_backward(
                of_changes, by_row, places, _BILINEAR, _BORDER, True, [True, False]
            )
            of_grid = torch.einsum("hy,hclx->clyx", rows, of_rows)
        if ctx.needs_input_grad[1]:
            of_planes = of_changed[:, :1] * changes[0]
            for c in (1, 2):
                of_planes.addcmul_(of_changed[:, c : c + 1], changes[c])
            of_pixels = _in_place(of_planes, ctx.size, ctx.block)
        return of_grid, of_pixels, None


# PyTorch's numbers of the modes.
_BILINEAR, _BORDER = 0, 1


def _in_blocks(pixels: Tensor, block: int) -> Tensor:
    """[S, C, h, w] of an image [H, W, C]: the S pixels of each square, and 0 where squares reach beyond."""
    height, width, channels = pixels.shape
    h, w = -(-height // block), -(-width // block)
    padded = torch.nn.functional.pad(pixels, (0, 0, 0, w * block - width, 0, h * block - height))
    return padded.reshape(h, block, w, block, channels).permute(1, 3, 4, 0, 2).flatten(0, 1).contiguous()


def _in_place(planes: Tensor, size: Sequence[int], block: int) -> Tensor:
    """The inverse of :func:`_in_blocks`, [H, W, C]."""
    _, channels, h, w = planes.shape
    pixels = planes.reshape(block, block, channels, h, w).permute(3, 0, 4, 1, 2)
    return pixels.reshape(h * block, w * block, channels)[: size[0], : size[1]].contiguous()


def _coordinates(grid: Tensor, planes: Tensor, size: Sequence[int], block: int) -> tuple[Tensor, Tensor]:
    """How much of each row of nodes a row of blocks has [h, GH], and where in its brightness and width each
    block lies [h, 1, w, 2], from -1 to 1."""
    h, w = planes.shape[2:]
    first = [block * torch.arange(n, device=grid.device) for n in (h, w)]
    middles = [((begin + block / 2) / total).clamp(max=1) for begin, total in zip(first, size, strict=True)]
    nodes = torch.arange(grid.shape[2], device=grid.device)
    rows = (1 - (middles[0][:, None] * (len(nodes) - 1) - nodes).abs()).clamp(min=0).to(grid)
    # What lies beyond the image has no part in the mean brightness of its square.
    counts = [(total - begin).clamp(max=block) for begin, total in zip(first, size, strict=True)]
    weights = planes.new_tensor(LUMA)[:, None, None]
    luma = (planes[:, :3].sum(0) * weights).sum(0) / torch.outer(*counts)
    across = (2 * middles[1] - 1).to(luma).expand(h, w)
    return rows, torch.stack([across, 2 * luma - 1], dim=2)[:, None]
