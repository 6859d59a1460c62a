"""The third result of :func:`gsplat_core.rasterization`: what happened between Gaussians and pixels."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gsplat_core.render.stages import Splats, TileLists


class Deferred(NamedTuple):
    """A value that is computed when somebody asks for it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Meta(dict[str, Any]):
    """A dictionary in which a :class:`Deferred` value is computed, once, when it is first read."""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, Deferred):
            value = self[key] = value.function(*value.arguments)
        return value

    def __iter__(self) -> Iterator[str]:  # defined here so that dict(meta) and {**meta} use __getitem__
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401  (this is get)

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def pop(self, key: str, *default: Any) -> Any:
        self.get(key)
        return super().pop(key, *default)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return ValuesView(self)

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        return ItemsView(self)


def render_meta(
    splats: Splats,
    tiles: TileLists,
    means2d: Tensor,
    batch: tuple[int, ...],
    width: int,
    height: int,
    tile_size: int,
    rows: Tensor | None = None,
) -> Meta:
    """Puts together the entries under gsplat's names.

    Args:
        means2d: the centres that are part of the graph, [*batch, C, N, 2] or [nnz, 2].
        batch: the caller's batch dimensions.
        rows: for the packed layout the visible pairs of image and Gaussian, image * N + n, [nnz] int64.
            Entries per Gaussian then have these rows only.
    """
    num_batches, num_cameras, num = splats.depths.shape
    tile_width, tile_height = -(-width // tile_size), -(-height // tile_size)
    leading = (*batch, num_cameras)

    def per_gaussian(tensor: Tensor) -> Tensor:
        if rows is not None:
            return tensor.flatten(0, 2)[rows]
        return tensor.reshape(*leading, num, *tensor.shape[3:])

    shapes = per_gaussian(splats.shapes)
    images = None if rows is None else rows // num
    return Meta(
        batch_ids=None if images is None else images // num_cameras,
        camera_ids=None if images is None else images % num_cameras,
        gaussian_ids=None if rows is None else rows % num,
        radii=per_gaussian(splats.radii),
        means2d=means2d,
        depths=per_gaussian(splats.depths),
        shapes=shapes,
        conics=Deferred(conics, (shapes,)),
        opacities=per_gaussian(splats.opacities),
        tile_width=tile_width,
        tile_height=tile_height,
        tiles_per_gauss=Deferred(lambda: per_gaussian(tiles_per_gaussian(tiles, splats.depths.shape)), ()),
        isect_ids=Deferred(intersection_keys, (splats, tiles, tile_width * tile_height)),
        flatten_ids=tiles.flatten_ids
        if rows is None
        else torch.searchsorted(rows, tiles.flatten_ids.long()).int(),
        isect_offsets=tiles.offsets[:-1].reshape(*leading, tile_height, tile_width),
        width=width,
        height=height,
        tile_size=tile_size,
        n_cameras=num_cameras,
        n_batches=num_batches,
    )


def conics(shapes: Tensor) -> Tensor:
    """Upper triangles (xx, xy, yy) of the inverse 2D covariances, from their roots. [..., 3] to [..., 3]."""
    l11, l21, l22 = shapes.unbind(-1)
    return torch.stack([l11 * l11, l11 * l21, l21 * l21 + l22 * l22], dim=-1)


def tiles_per_gaussian(tiles: TileLists, shape: tuple[int, ...]) -> Tensor:
    """How many tiles each splat touches, int32 of the given shape [B, C, N]."""
    counts = tiles.order.new_zeros(shape)
    # Unused places of the order hold -1 and count nothing.
    counts.view(-1).index_add_(0, tiles.order.long().clamp(min=0), tiles.slot_offsets.diff())
    return counts


def intersection_keys(splats: Splats, tiles: TileLists, tiles_per_image: int) -> Tensor:
    """The sorted int64 keys [M] of the intersections: bits of image, tile and depth, highest first."""
    numbers = torch.arange(tiles.offsets.numel() - 1, device=tiles.offsets.device)
    tile = numbers.repeat_interleave(tiles.offsets.diff())
    image = tile // max(tiles_per_image, 1)
    ids = tiles.flatten_ids[: tile.numel()].long()  # without unused places
    depth_bits = splats.depths.detach().flatten()[ids].view(torch.int32).long()
    tile_in_image = tile % max(tiles_per_image, 1)
    return (((image << tiles_per_image.bit_length()) | tile_in_image) << 32) | depth_bits
