"""How deep everything is that a few photographs show, before anything is trained.

Known are the sparse points, what a plane sweep finds where photographs overlap, or maps of depths from
elsewhere; between them depths follow the photograph's edges (`depth_completion`). Depths are those of
`depth_maps`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gsplat_core.scene.cameras import Camera, Matrix
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.depth_alignment import FEWEST, Sample, aligned, depths_by
from gsplat_core.scene.depth_completion import completed
from gsplat_core.scene.depth_maps import sparse_depths
from gsplat_core.scene.known_depths import KnownDepth, points_of
from gsplat_core.scene.map_pixels import shrunk
from gsplat_core.scene.plane_sweep import Picture, plane_sweep
from gsplat_core.scene.scale import LENGTH_PER_DEPTH

# Longer sides, in pixels, of the result and of what is swept.
_SIDE = 400
_SWEPT_SIDE = 200
# Beside a sparse point, which is right but for its pixel, a swept depth may be wrong.
_TRUST_SWEPT = 0.3
# That a map needs no factor, where nothing contradicts it.
_TRUST_MAP = 0.003
# What lies nearer or farther than the points by more than this factor is not looked for.
_BEYOND = 2.0
# Share of pixels of which a sweep has to find the depth for the rest to follow.
_SURE = 0.25
_FARTHEST = 100.0  # in lengths of the scene


class DepthPrior(NamedTuple):
    """Of each training view the inverse depths [H, W] float32, all finite and more than 0, of an image of
    its shape; where they come from, in words; and whether most of them are guessed from a few."""

    inverse: list[Tensor]
    told: str
    unsure: bool


def depth_prior(dataset: Dataset, known: dict[int, KnownDepth] | None = None) -> DepthPrior:
    """The depths that the training photographs show.

    Args:
        known: of maps, by the numbers of views; those without a line are aligned to the rest.
    """
    views, far = dataset.train, _FARTHEST * dataset.scale.length
    known = known or {}
    points = [points_of(dataset, number) for number in range(len(views))]
    sizes = [_size(view.camera, _SIDE) for view in views]
    pictures = [_picture(view, depths, dataset) for view, (_, depths) in zip(views, points, strict=True)]
    swept = plane_sweep(pictures)
    inverse = []
    for number, (view, (width, height)) in enumerate(zip(views, sizes, strict=True)):
        image = _image(view, width, height)
        values = shrunk(swept[number], width, height)
        trust = torch.full_like(values, _TRUST_SWEPT)
        there = 1 / sparse_depths(*points[number], view.camera, width, height)
        values, trust = there.where(there.isfinite(), values), trust.masked_fill(there.isfinite(), 1.0)
        if (mask := view.mask()) is not None:
            values = values.where(shrunk(mask, width, height), torch.nan)
        dense = torch.full_like(values, LENGTH_PER_DEPTH / dataset.scale.length)
        if bool(values.isfinite().any()):
            dense = completed(values, trust, image)
        if number in known:
            found = _of_map(known[number], width, height, dense, view.camera.near)
            if bool(found.isfinite().any()):
                dense = _corrected(found, values, trust, image)
        inverse.append(dense.clamp(min=1 / far))
    share = float(torch.cat([values.flatten().isfinite() for values in swept]).float().mean())
    count = float(np.mean([len(depths) for _, depths in points]))
    sources = [f"maps of {len(known)} photographs"] if known else []
    sources += [f"{count:,.0f} 3D points on average"] if count else []
    sources += [f"a plane sweep, which found {share:.0%} of the pixels"] if share else []
    told = " and ".join(sources) or "nothing: all is as deep as the scene in the middle"
    return DepthPrior(inverse, told, not known and share < _SURE)


def _corrected(found: Tensor, values: Tensor, trust: Tensor, image: Tensor) -> Tensor:
    """[H, W] the inverse depths of a map, everywhere, and times a factor where it is contradicted: maps see
    what neither points nor a sweep can, but not how far away each thing is.

    Args:
        found: of the map; NaN where it has none.
        values, trust: of others, as of `completed`.
    """
    whole = found.where(found.isfinite(), completed(found, torch.ones_like(found), image))
    factors = values / whole
    said = factors.isfinite()
    weak = torch.full_like(trust, _TRUST_MAP)
    return whole * completed(factors.where(said, 1.0), trust.where(said, weak), image)


def _of_map(known: KnownDepth, width: int, height: int, dense: Tensor, near: float) -> Tensor:
    """[height, width] inverse depths of a map, NaN where it has none."""
    values = known.at(width, height)
    if known.kind is not None:
        there = values.isfinite()
        line = aligned(Sample(values[there].double(), 1 / dense[there].double()), known.kind, near)
        if line is None:
            return torch.full_like(values, torch.nan)
        values = depths_by(values, known.kind, line, near).float()
    depths = 1 / values - near
    return (1 / depths).where(depths > 0, torch.nan)


def _size(camera: Camera, side: int) -> tuple[int, int]:
    shrink = min(side / max(camera.width, camera.height), 1.0)
    return max(round(camera.width * shrink), 1), max(round(camera.height * shrink), 1)


def _image(view: View, width: int, height: int) -> Tensor:
    """[height, width, 3] in [0, 1]"""
    image = view.image().permute(2, 0, 1)[None].float() / 255
    small = interpolate(image, (height, width), mode="bilinear", antialias=True)
    return small[0].permute(1, 2, 0)


def _picture(view: View, depths: Matrix, dataset: Dataset) -> Picture:
    width, height = _size(view.camera, _SWEPT_SIDE)
    usual = dataset.scale.length / LENGTH_PER_DEPTH
    near, far = usual / 5, usual * 20
    if len(depths) >= FEWEST:
        near, far = np.quantile(depths, 0.02) / _BEYOND, np.quantile(depths, 0.98) * _BEYOND
    return Picture(view.camera.resized(width, height), _image(view, width, height), 1 / far, 1 / near)
