"""The four stages of rendering: project, colour, bin, composite.

Every renderer is made of these; :func:`gsplat_core.rasterization` is the usual arrangement. All tensors have
exactly one batch dimension here: B scenes, C cameras each, N Gaussians, so I = B * C images.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gsplat_core.ops import bin as _bin  # noqa: F401  (registers the fake kernel)
from gsplat_core.ops import composite as composite_op
from gsplat_core.ops import contributions as _contributions  # noqa: F401
from gsplat_core.ops import project as project_op
from gsplat_core.ops import response_levels as _levels  # noqa: F401
from gsplat_core.ops import sightings as _sightings  # noqa: F401
from gsplat_core.ops import spherical_harmonics as harmonics_op
from gsplat_core.render.rays import Rays
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.render.variants import PAYLOADS

NOTHING_SUMMED_UP: Mapping[str, Tensor] = MappingProxyType({})


class Splats(NamedTuple):
    """Gaussians as the cameras see them. All zero where culled."""

    means2d: Tensor  # [B, C, N, 2] pixels
    shapes: Tensor  # [B, C, N, 3] (l11, l21, l22), U = [[l11, l21], [0, l22]], U^T U = inverse 2D covariance
    depths: Tensor  # [B, C, N] along the viewing axis
    opacities: Tensor  # [B, C, N] after anti-aliasing compensation
    radii: Tensor  # [B, C, N, 2] int32, half extents in pixels; 0 where culled


class TileLists(NamedTuple):
    """Which splats touch which tile. V visible splats, M intersections of splats with tiles."""

    offsets: Tensor  # [I * tiles + 1] int32, tile t owns flatten_ids[offsets[t] : offsets[t + 1]]
    flatten_ids: Tensor  # [M] int32, image * N + n, by tile, nearest first
    order: Tensor  # [V] int32, the visible flatten_ids by image, nearest first
    slot_offsets: Tensor  # [V + 1] int32
    # [M] int32, splat order[v] is at flatten_ids[slots[slot_offsets[v] : slot_offsets[v + 1]]]; empty on CUDA
    slots: Tensor


class Blended(NamedTuple):
    """What compositing makes of splats."""

    colors: Tensor  # [B, C, H, W, D]
    alphas: Tensor  # [B, C, H, W, 1]
    probe: Tensor | None  # [B, C, H, W] zeros, with a carrier of a payload that looks at it
    # [B, C, H, W, 3] with the depths z at which a pixel sees surfels: sums of z, 1 / z and 1 / z^2
    depths: Tensor | None = None


class Sightings(NamedTuple):
    """Which splats the pixels see: numbers of Gaussians in their scene, int32, -1 for none. None where it was
    not wanted."""

    first: Tensor | None  # [B, C, H, W] the nearest one
    median: Tensor | None  # the last one in front of which more than half of the light comes through
    strongest: Tensor | None  # that of the largest weight
    counts: Tensor | None  # how many
    top_ids: Tensor | None  # [B, C, H, W, top] those of the largest weights, front to back, then -1
    top_weights: Tensor | None  # [B, C, H, W, top] their weights, then 0


def project(
    means: Tensor,
    quats: Tensor | None,
    scales: Tensor | None,
    covars: Tensor | None,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    settings: RenderSettings = USUAL,
    *,
    lens: Tensor | None = None,
    camera: str = "pinhole",
    levels: Tensor | None = None,
    motion: Tensor | None = None,
) -> Splats:
    """Projects Gaussians onto image planes (EWA splatting; or, if the settings say so, by the unscented
    transform).

    Args:
        means: [B, N, 3] in world space.
        quats, scales: [B, N, 4] (w, x, y, z) of any length, and [B, N, 3] linear; or None when `covars` is
            given.
        covars: [B, N, 6] world covariances (xx, xy, xz, yy, yz, zz), or None.
        opacities: [B, N].
        viewmats, Ks: [B, C, 4, 4] world to camera and [B, C, 3, 3] in pixels.
        lens: [B, C, P] coefficients of the cameras beyond `Ks`, None where there are none.
        camera: the model of all cameras, one of :data:`gsplat_core.render.variants.CAMERAS`, which tells P.
        levels: [B, N] of :func:`levels`, by which radii are found and Gaussians outside the image culled.
        motion: [B, C, 9] of cameras with a rolling shutter, :mod:`gsplat_core.render.shutter`; only for
            splats that have no derivative (`RenderSettings.bounds_only`).
    """
    splats = project_op.project(
        means,
        quats,
        scales,
        covars,
        opacities,
        viewmats,
        Ks,
        lens,
        camera,
        width,
        height,
        settings.numbers(),
        levels,
        motion,
    )
    return Splats(*splats)


def colour(
    colors: Tensor | tuple[Tensor, Tensor],
    sh_degree: int | None,
    means: Tensor,
    viewmats: Tensor,
    radii: Tensor,
) -> Tensor:
    """The colours [B, C, N, D] that the cameras see.

    Args:
        colors: features [B, N, D] when `sh_degree` is None; otherwise coefficients of spherical harmonics
            [B, N, K, 3], or these in two parts, [B, N, 1, 3] and [B, N, K - 1, 3]. Each may also have one set
            per camera, [B, C, N, ...].
        sh_degree: the degree to evaluate, at most 4 and at most what K allows.
        means, viewmats: give the viewing directions.
        radii: Gaussians culled by :func:`project` are not evaluated.
    """
    num_batches, num_cameras, num = radii.shape[:3]
    if sh_degree is None:
        assert isinstance(colors, Tensor)
        return colors if colors.dim() == 4 else colors[:, None].expand(-1, num_cameras, -1, -1)
    sh0, shN = (colors, None) if isinstance(colors, Tensor) else colors
    if sh0.dim() == 4:
        return harmonics_op.spherical_harmonics(sh_degree, means, viewmats, sh0, shN, radii)
    # Coefficients of every camera's own: to the operator each camera is a scene with a single camera.
    images = num_batches * num_cameras
    evaluated = harmonics_op.spherical_harmonics(
        sh_degree,
        means[:, None].expand(-1, num_cameras, -1, -1).reshape(images, num, 3),
        viewmats.reshape(images, 1, 4, 4),
        sh0.flatten(0, 1),
        None if shN is None else shN.flatten(0, 1),
        radii.reshape(images, 1, num, 2),
    )
    return evaluated.reshape(num_batches, num_cameras, num, 3)


def levels(opacities: Tensor, response: str, extras: Tensor | None) -> Tensor | None:
    """How far from their centres Gaussians or splats are seen: the squared Mahalanobis distance, or a little
    more, at which alpha is 1/255. That of "gaussian" is None: the operators know it.

    Args:
        opacities: [..., N]. Of Gaussians, whose opacity anti-aliasing may yet lower, it is a bound.
        extras: [..., N, E] or None.
    """
    if response == "gaussian":
        return None
    found: Tensor = torch.ops.gsplat_core.response_levels(
        opacities.detach().flatten(0, -2),
        None if extras is None else extras.detach().flatten(0, -3),
        response,
    )
    return found.reshape(opacities.shape)


def extras_of_splats(extras: Tensor | None, splats: Splats) -> Tensor | None:
    """[B, C, N, E]: those of Gaussians [B, N, E], which are the same for all cameras."""
    return None if extras is None else extras[:, None].expand(-1, splats.depths.shape[1], -1, -1)


def bin_splats(
    splats: Splats,
    width: int,
    height: int,
    settings: RenderSettings = USUAL,
    *,
    response: str = "gaussian",
    extras: Tensor | None = None,
) -> TileLists:
    """Sorts the splats by depth and lists for every tile those that reach alpha = 1/255 in it.

    `response` and `extras` are those of :func:`composite`.
    """
    lists = torch.ops.gsplat_core.bin_splats(
        *[tensor.detach().flatten(0, 1) for tensor in splats],
        width,
        height,
        settings.numbers(),
        _levels_of_splats(splats, response, extras),
    )
    return TileLists(*lists)


def bin_splats_bounded(
    splats: Splats,
    width: int,
    height: int,
    settings: RenderSettings = USUAL,
    *,
    max_intersections: int,
    response: str = "gaussian",
    extras: Tensor | None = None,
) -> tuple[TileLists, Tensor]:
    """:func:`bin_splats` on a CUDA device without waiting for it, as CUDA graphs need it.

    Args:
        max_intersections: room for the lists. Where it is too small splats are missing.

    Returns:
        The lists, whose sizes are V = all splats and M = `max_intersections`, with -1 behind what is used of
        `order` and `flatten_ids`; and int64 [2], how many splats are visible and how many intersections there
        are. More than `max_intersections` means that the lists are not complete.
    """
    *lists, totals = torch.ops.gsplat_core.bin_splats_bounded(
        *[tensor.detach().flatten(0, 1) for tensor in splats],
        width,
        height,
        settings.numbers(),
        max_intersections,
        _levels_of_splats(splats, response, extras),
    )
    return TileLists(*lists), totals


def _levels_of_splats(splats: Splats, response: str, extras: Tensor | None) -> Tensor | None:
    found = levels(splats.opacities, response, extras)
    return None if found is None else found.flatten(0, 1)


def composite(
    splats: Splats,
    colors: Tensor,
    backgrounds: Tensor | None,
    tiles: TileLists,
    width: int,
    height: int,
    settings: RenderSettings = USUAL,
    *,
    carriers: Mapping[str, Tensor] = NOTHING_SUMMED_UP,
    response: str = "gaussian",
    extras: Tensor | None = None,
    rays: Rays | None = None,
    depths: bool = False,
) -> Blended:
    """Blends splats front to back over the background.

    Args:
        colors: [B, C, N, D].
        backgrounds: [B, C, D] or None for zeros.
        carriers: of payloads, by their names in :data:`gsplat_core.render.variants.PAYLOADS`: zeros
            [B, C, N, sums], whose gradient becomes what the payload sums up per splat. That is

            - "absgrad", 2 numbers: the sum over pixels of the absolute gradient of `splats.means2d` (AbsGS);
            - "statistics", 3 numbers: how much the image shows of a splat. With its blending weights w_p at
              the pixels p and the gradient e_p of the probe, (sum_p w_p e_p, sum_p w_p, number of pixels
              with w_p > 0). So the probe is one more channel of the image, blended from the carrier's zeros
              with weights that count as constants: add `(probe * e).sum()` to the loss, which stays what it
              is, for the sums with any weights e.
        response: one of :data:`gsplat_core.render.variants.RESPONSES`.
        extras: [B, C, N, E], the numbers that the splats have for it, or None if it has none.
        rays: of the pixels, where the response looks along them.
        depths: whether `Blended.depths` are wanted, of surfels.
    """
    images = splats.depths.shape[:2]
    colors_image, alphas, probe, sums = composite_op.composite(
        splats.means2d.flatten(0, 1),
        splats.shapes.flatten(0, 1),
        splats.opacities.flatten(0, 1),
        colors.flatten(0, 1),
        None if backgrounds is None else backgrounds.flatten(0, 1),
        *tiles,
        width,
        height,
        settings.numbers(),
        None if extras is None else extras.flatten(0, 1),
        response,
        None if rays is None else rays.canonical.flatten(0, 1),
        None if rays is None else rays.rays.flatten(0, 1),
        *[carriers[name].flatten(0, 1) if name in carriers else None for name in PAYLOADS],
        depths,
    )
    return Blended(
        colors_image.unflatten(0, images),
        alphas.unflatten(0, images),
        probe.unflatten(0, images) if any(PAYLOADS[name].probed for name in carriers) else None,
        sums.unflatten(0, images) if depths else None,
    )


def contributions(
    splats: Splats,
    tiles: TileLists,
    width: int,
    height: int,
    settings: RenderSettings = USUAL,
    *,
    response: str = "gaussian",
    extras: Tensor | None = None,
    rays: Rays | None = None,
) -> Tensor:
    """How much each image shows of each splat, without blending colours and without a derivative.

    Returns:
        [B, C, N, 3]: with the blending weights w_p of the splat at the pixels p, sum_p w_p, the number of
        pixels with w_p > 0, and max_p w_p. The same sums that :func:`composite` gives on backward.
    """
    drawn = _drawn(splats, tiles, width, height, settings, response, extras, rays)
    measured: Tensor = torch.ops.gsplat_core.contributions(*drawn)
    return measured.unflatten(0, splats.depths.shape[:2])


def sightings(
    splats: Splats,
    tiles: TileLists,
    width: int,
    height: int,
    settings: RenderSettings = USUAL,
    *,
    first: bool = False,
    median: bool = False,
    strongest: bool = False,
    counts: bool = False,
    top: int = 0,
    response: str = "gaussian",
    extras: Tensor | None = None,
    rays: Rays | None = None,
) -> Sightings:
    """Which splats each pixel sees, without a derivative. If nothing behind the median is wanted, pixels are
    finished there."""
    *images, top_ids, top_weights = torch.ops.gsplat_core.sightings(
        *_drawn(splats, tiles, width, height, settings, response, extras, rays),
        first, median, strongest, counts, top,
    )  # fmt: skip
    wanted = (first, median, strongest, counts, top > 0, top > 0)
    shape = splats.depths.shape[:2]
    found = (*images, top_ids, top_weights)
    return Sightings(
        *[image.unflatten(0, shape) if asked else None for image, asked in zip(found, wanted, strict=True)]
    )


_MOST_LABELS = 32  # in one pass, csrc/raster/sightings.h
_MOST_ROWS = 2**26  # numbers that a pass on the CPU keeps: 256 MiB


def label_weights(
    splats: Splats,
    tiles: TileLists,
    labels: Tensor,
    num_labels: int,
    width: int,
    height: int,
    settings: RenderSettings = USUAL,
    *,
    response: str = "gaussian",
    extras: Tensor | None = None,
    rays: Rays | None = None,
) -> Tensor:
    """How much the pixels of each label see of each Gaussian, without a derivative (FlashSplat, Shen et al.
    2024). Labels are told apart some at a time, so that memory stays bounded.

    Args:
        labels: [B, C, H, W] int32 from -1, which counts nowhere, to num_labels - 1.

    Returns:
        [B, num_labels, N]: the sum of the blending weights over the pixels of the label in all C images.
    """
    shape, of_images = splats.depths.shape, labels.flatten(0, 1)
    blocks_per_tile = -(-settings.tile_size // 16)
    rows = max(1, tiles.flatten_ids.numel() * blocks_per_tile * blocks_per_tile)
    together = max(1, min(_MOST_LABELS, _MOST_ROWS // rows))
    drawn = _drawn(splats, tiles, width, height, settings, response, extras, rays)
    present = torch.arange(num_labels, device=labels.device)
    if num_labels > together:  # number those anew that there are at all; -1 becomes the last one, which is -1
        occurs = torch.zeros(num_labels + 1, dtype=torch.bool, device=labels.device)
        occurs[of_images.flatten().long()] = True
        present = occurs[:-1].nonzero()[:, 0]
        numbers = torch.full((num_labels + 1,), -1, dtype=torch.int32, device=labels.device)
        numbers[present] = torch.arange(len(present), dtype=torch.int32, device=labels.device)
        of_images = numbers[of_images.long()]
    found = splats.depths.new_zeros(shape[0], num_labels, shape[2])
    for first in range(0, len(present), together):
        some = present[first : first + together]
        weights = torch.ops.gsplat_core.label_weights(*drawn, of_images, first, len(some))
        found[:, some] = weights.unflatten(0, shape[:2]).sum(1).mT
    return found


def _drawn(
    splats: Splats,
    tiles: TileLists,
    width: int,
    height: int,
    settings: RenderSettings,
    response: str,
    extras: Tensor | None,
    rays: Rays | None,
) -> tuple[Any, ...]:
    """The arguments that operators have in common which look at what is drawn."""
    return (
        splats.means2d.detach().flatten(0, 1),
        splats.shapes.detach().flatten(0, 1),
        splats.opacities.detach().flatten(0, 1),
        *tiles,
        width,
        height,
        settings.numbers(),
        None if extras is None else extras.detach().flatten(0, 1),
        response,
        None if rays is None else rays.canonical.detach().flatten(0, 1),
        None if rays is None else rays.rays.detach().flatten(0, 1),
    )
