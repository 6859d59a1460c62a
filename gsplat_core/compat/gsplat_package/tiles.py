"""gsplat's stages behind the projection: which splats touch which tiles, and their blending."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.compat.gsplat_package.pairs import MAX_ALPHA
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Splats, TileLists, composite

_DEPTH_BITS = 32


def isect_tiles(
    means2d: Tensor,
    radii: Tensor,
    depths: Tensor,
    tile_size: int,
    tile_width: int,
    tile_height: int,
    sort: bool = True,
    segmented: bool = False,
    packed: bool = False,
    n_images: int | None = None,
    image_ids: Tensor | None = None,
    gaussian_ids: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The tiles that the boxes of splats touch.

    Args:
        means2d, radii, depths: [..., N, 2] pixels, [..., N, 2] int32 half extents, 0 where culled, and
            [..., N]; if `packed`, [nnz, 2], [nnz, 2] and [nnz].
        tile_size, tile_width, tile_height: pixels, and the tiles of an image.
        sort: whether by image, tile and depth.
        segmented: accepted for compatibility: another way to sort, with the same result.
        n_images, image_ids, gaussian_ids: of packed splats: how many images, and [nnz] whose splats they are.

    Returns:
        how many tiles each splat touches, int32 [..., N] or [nnz]; and of each of the M touches
        ``isect_ids`` [M] int64, (image | tile | depth) from the highest bits on, and ``flatten_ids`` [M]
        int32, the splat's place in the flattened tensors.

    Raises:
        ValueError: packed splats without `n_images` and `image_ids`.
    """
    del segmented, gaussian_ids
    shape = depths.shape
    if packed:
        if n_images is None or image_ids is None:
            raise ValueError("arguments 'n_images' and 'image_ids' must be given with 'packed'")
        images = image_ids.long()
    else:
        numbers = torch.arange(shape[:-1].numel(), device=depths.device)
        images = numbers[:, None].expand(-1, shape[-1]).flatten()
    centres, extents = means2d.detach().reshape(-1, 2), radii.reshape(-1, 2)
    visible = (extents > 0).all(dim=-1)
    tiles = centres.new_tensor([tile_width, tile_height])
    low = ((centres - extents) / tile_size).floor().clamp(min=0).minimum(tiles).long()
    high = ((centres + extents) / tile_size).ceil().clamp(min=0).minimum(tiles).long()
    size = torch.where(visible[:, None], high - low, 0)
    counts = size.prod(dim=-1)
    splat = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    within = torch.arange(len(splat), device=counts.device) - (counts.cumsum(0) - counts)[splat]
    width = size[splat, 0]
    tile = (low[splat, 1] + within // width) * tile_width + low[splat, 0] + within % width
    bits = depths.detach().float().reshape(-1).view(torch.int32).long() & 0xFFFFFFFF
    tile_bits = int(tile_width * tile_height).bit_length()
    ids = (images[splat] << (_DEPTH_BITS + tile_bits)) | (tile << _DEPTH_BITS) | bits[splat]
    if sort:
        ids, order = ids.sort(stable=True)
        splat = splat[order]
    return counts.int().reshape(shape), ids, splat.int()


def isect_offset_encode(isect_ids: Tensor, n_images: int, tile_width: int, tile_height: int) -> Tensor:
    """Where the touches of each tile begin among the sorted `isect_ids` [M]: int32 [n_images, tile_height,
    tile_width]."""
    tile_bits = int(tile_width * tile_height).bit_length()
    above = isect_ids >> _DEPTH_BITS
    tile = (above >> tile_bits) * (tile_width * tile_height) + (above & ((1 << tile_bits) - 1))
    wanted = torch.arange(n_images * tile_width * tile_height, device=tile.device)
    return torch.searchsorted(tile, wanted).int().reshape(n_images, tile_height, tile_width)


def rasterize_to_pixels(
    means2d: Tensor,
    conics: Tensor,
    colors: Tensor,
    opacities: Tensor,
    image_width: int,
    image_height: int,
    tile_size: int,
    isect_offsets: Tensor,
    flatten_ids: Tensor,
    backgrounds: Tensor | None = None,
    masks: Tensor | None = None,
    packed: bool = False,
    absgrad: bool = False,
) -> tuple[Tensor, Tensor]:
    """Blends splats, whose order and tiles are given, differentiably.

    Args:
        means2d, conics, colors, opacities: [..., N, 2], [..., N, 3] (the inverse covariance's xx, xy, yy),
            [..., N, D] and [..., N]; if `packed`, [nnz, 2] and so on.
        image_width, image_height, tile_size: pixels.
        isect_offsets, flatten_ids: of :func:`isect_offset_encode`, [..., tile_height, tile_width], and of
            :func:`isect_tiles`.
        backgrounds: [..., D] or None for zeros.
        masks: bool [..., tile_height, tile_width]; in tiles that are False there is only the background.
        absgrad: whether ``means2d.absgrad`` is there after backward.

    Returns:
        colours [..., H, W, D] and alphas [..., H, W, 1].
    """
    del packed  # the shapes tell
    leading = isect_offsets.shape[:-2]
    images = leading.numel()
    total = opacities.numel()
    rows = -(-total // max(images, 1))  # packed splats are dealt out to the images: their places stay

    def of_images(tensor: Tensor, *numbers: int) -> Tensor:
        flat = tensor.reshape(total, *numbers)
        padded = torch.nn.functional.pad(flat, (*[0, 0] * len(numbers), 0, images * rows - total))
        return padded.reshape(images, rows, *numbers)

    centres, opaque = of_images(means2d, 2), of_images(opacities)
    inverse, channels = of_images(conics, 3), of_images(colors, colors.shape[-1])
    xx, xy, yy = inverse.unbind(-1)
    first = xx.clamp(min=1e-20).sqrt()
    second = xy / first
    shapes = torch.stack([first, second, (yy - second.square()).clamp(min=1e-20).sqrt()], dim=-1)
    carrier = None
    if absgrad:
        carrier = torch.zeros_like(centres, requires_grad=True)

        def store(gradient: Tensor) -> None:
            means2d.absgrad = gradient.flatten(0, 1)[:total].reshape(means2d.shape)  # type: ignore[attr-defined]

        carrier.register_hook(store)
    seen = torch.ones(1, images, rows, 2, dtype=torch.int32, device=opaque.device)
    splats = Splats(centres[None], shapes[None], opaque[None].detach(), opaque[None], seen)
    blended = composite(
        splats,
        channels[None],
        None if backgrounds is None else backgrounds.reshape(1, images, -1),
        _lists(isect_offsets, flatten_ids, masks),
        image_width,
        image_height,
        RenderSettings(tile_size=tile_size, max_alpha=MAX_ALPHA),
        carriers={} if carrier is None else {"absgrad": carrier[None]},
    )
    size = (image_height, image_width)
    return blended.colors.reshape(*leading, *size, -1), blended.alphas.reshape(*leading, *size, 1)


def _lists(isect_offsets: Tensor, flatten_ids: Tensor, masks: Tensor | None) -> TileLists:
    """The lists as compositing takes them."""
    starts = isect_offsets.reshape(-1).long()
    counts = torch.diff(starts, append=starts.new_tensor([len(flatten_ids)]))
    ids = flatten_ids.long()
    if masks is not None:
        kept = masks.reshape(-1).repeat_interleave(counts)
        ids, counts = ids[kept], torch.where(masks.reshape(-1), counts, 0)
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int()
    order = ids.unique()
    slots = ids.argsort(stable=True)
    per_splat = torch.bincount(torch.searchsorted(order, ids), minlength=len(order))
    slot_offsets = torch.cat([per_splat.new_zeros(1), per_splat.cumsum(0)]).int()
    return TileLists(offsets, ids.int(), order.int(), slot_offsets, slots.int())
