"""Pairs of pixels and Gaussians: gsplat's way to composite in plain PyTorch.

:func:`rasterize_to_indices_in_range` lists them, front to back, and :func:`accumulate` blends them.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_ALPHA = 0.999  # gsplat 1.5's
SMALLEST_ALPHA = 1 / 255
LEAST_LIGHT = 1e-4
_AT_ONCE = 1 << 22  # pairs of a pixel and a Gaussian of its tile


def rasterize_to_indices_in_range(
    range_start: int,
    range_end: int,
    transmittances: Tensor,
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    image_width: int,
    image_height: int,
    tile_size: int,
    isect_offsets: Tensor,
    flatten_ids: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Which Gaussians each pixel shows, of a range of those in its tile.

    Args:
        range_start, range_end: of the Gaussians of each tile, in their order, in blocks of `tile_size`
            squared; 0 and a large number take all.
        transmittances: [..., H, W], the light that the Gaussians before let through.
        means2d, conics, opacities: [..., N, 2], [..., N, 3] (the inverse covariance's xx, xy, yy) and
            [..., N].
        image_width, image_height, tile_size: pixels.
        isect_offsets, flatten_ids: see :mod:`gsplat_core.compat.gsplat_package.tiles`.

    Returns:
        Gaussians, pixels (numbered row by row) and images, each [M] int64, the pairs that are composited:
        those of at least 1/255, until a ten-thousandth of the light is left. Each pixel's lie front to back.
    """
    leading, rows = means2d.shape[:-2], means2d.shape[-2]
    block = tile_size * tile_size
    across = isect_offsets.shape[-1]
    starts = isect_offsets.reshape(leading.numel(), -1).long()
    ends = torch.cat([starts.flatten()[1:], starts.new_tensor([len(flatten_ids)])]).reshape(starts.shape)
    first = (starts + range_start * block).minimum(ends)
    last = (starts + min(range_end, len(flatten_ids)) * block).minimum(ends)
    centres, inverse, opaque = means2d.reshape(-1, 2), conics.reshape(-1, 3), opacities.reshape(-1)
    light = transmittances.reshape(leading.numel(), -1)
    inside = torch.arange(block, device=means2d.device)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    with torch.no_grad():
        for image, tile in (last > first).nonzero().tolist():
            x = tile % across * tile_size + inside % tile_size
            y = tile // across * tile_size + inside // tile_size
            shown = (x < image_width) & (y < image_height)
            x, y = x[shown], y[shown]
            pixels = y * image_width + x
            remaining = light[image, pixels]
            begin, end = int(first[image, tile]), int(last[image, tile])
            for some in range(begin, end, max(_AT_ONCE // block, 1)):
                splats = flatten_ids[some : min(some + max(_AT_ONCE // block, 1), end)].long()
                offset_x = x[:, None] + 0.5 - centres[splats, 0]
                offset_y = y[:, None] + 0.5 - centres[splats, 1]
                alpha = _alphas(inverse[splats], opaque[splats], offset_x, offset_y)
                drawn = alpha >= SMALLEST_ALPHA
                after = remaining[:, None] * torch.where(drawn, 1.0 - alpha, 1.0).cumprod(dim=1)
                drawn &= after > LEAST_LIGHT
                which, column = drawn.nonzero(as_tuple=True)
                found.append((splats[column] % rows, pixels[which], torch.full_like(which, image)))
                # Where the light ran out, no later Gaussian is drawn either.
                remaining = torch.where(after[:, -1] > LEAST_LIGHT, after[:, -1], 0.0)
    if not found:
        nothing = torch.zeros(0, dtype=torch.int64, device=means2d.device)
        return nothing, nothing, nothing
    gaussians, pixels, images = (torch.cat(parts) for parts in zip(*found, strict=True))
    return gaussians, pixels, images


def accumulate(
    means2d: Tensor,
    conics: Tensor,
    opacities: Tensor,
    colors: Tensor,
    gaussian_ids: Tensor,
    pixel_ids: Tensor,
    image_ids: Tensor,
    image_width: int,
    image_height: int,
) -> tuple[Tensor, Tensor]:
    """Blends given pairs of pixels and Gaussians, differentiably, in PyTorch.

    Args:
        means2d, conics, opacities, colors: [..., N, 2], [..., N, 3], [..., N] and [..., N, D].
        gaussian_ids, pixel_ids, image_ids: [M] of the pairs, whose Gaussians lie front to back in each pixel;
            pixels are numbered row by row.

    Returns:
        colours [..., H, W, D] and alphas [..., H, W, 1].
    """
    leading, rows = means2d.shape[:-2], means2d.shape[-2]
    images, pixels = leading.numel(), image_width * image_height
    splat = image_ids.long() * rows + gaussian_ids.long()
    centre = torch.stack([pixel_ids % image_width, pixel_ids // image_width], dim=-1) + 0.5
    x, y = (centre - means2d.reshape(-1, 2)[splat]).unbind(-1)
    alpha = _alphas(conics.reshape(-1, 3)[splat], opacities.reshape(-1)[splat], x, y)
    place = image_ids.long() * pixels + pixel_ids.long()
    order = place.argsort(stable=True)
    place, alpha, shown = place[order], alpha[order], colors.reshape(images * rows, -1)[splat[order]]
    # The light that comes through to each pair: a running sum of logarithms that begins anew in each pixel.
    # It grows over the whole image, so that float32 would keep few digits of one pixel's part.
    logs = torch.log1p(-alpha.double())
    before = logs.cumsum(0) - logs
    starts = torch.searchsorted(place, place)
    weights = alpha * (before - before[starts]).exp().to(alpha.dtype)
    total = images * pixels
    blended = torch.zeros(total, shown.shape[-1], dtype=shown.dtype, device=shown.device)
    blended = blended.index_add(0, place, weights[:, None] * shown)
    alphas = torch.zeros(total, dtype=weights.dtype, device=weights.device).index_add(0, place, weights)
    size = (image_height, image_width)
    return blended.reshape(*leading, *size, -1), alphas.reshape(*leading, *size, 1)


def _alphas(conics: Tensor, opacities: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """How much of the light is taken at offsets from centres."""
    xx, xy, yy = conics.unbind(-1)
    sigma = 0.5 * (xx * x * x + yy * y * y) + xy * x * y
    return (opacities * (-sigma).exp()).clamp(max=MAX_ALPHA)
