"""Outputs that tell which Gaussians the pixels see: all of one pass without colours, and no pass if none is
wanted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gsplat_core.arguments import check_shape
from gsplat_core.render.inputs import Inputs
from gsplat_core.render.rays import Rays
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Splats, TileLists, label_weights, sightings
from gsplat_core.render.surfels import depths_in_pixels
from gsplat_core.render.variants import EVERY_RESPONSE

_NEEDS = {
    "first_ids": "first",
    "median_ids": "median",
    "median_depth": "median",
    "strongest_ids": "strongest",
    "counts": "counts",
}
SEEN: tuple[str, ...] = tuple(_NEEDS)
"""The names of the outputs."""


Labels: TypeAlias = tuple[Tensor, int]
"""A label for each pixel [..., C, H, W], of any integer type, and how many labels there are."""


def check_labels(labels: Labels, inputs: Inputs, width: int, height: int) -> Labels:
    """Labels [B, C, H, W] int32, -1 for what is none, and their number.

    Raises:
        ValueError: shape, type or number do not fit.
    """
    if not isinstance(labels, tuple) or len(labels) != 2:
        raise ValueError("argument 'labels' must be a pair of a tensor and the number of labels")
    of_pixels, count = labels
    shape = (*inputs.batch, inputs.viewmats.shape[1], height, width)
    check_shape("labels[0]", of_pixels, shape, inputs.means.device)
    if of_pixels.is_floating_point() or of_pixels.is_complex() or of_pixels.dtype == torch.bool:
        raise ValueError(f"argument 'labels[0]' must be integers, got {of_pixels.dtype}")
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"argument 'labels[1]' must be a positive number of labels, got {count!r}")
    wide = of_pixels.long().reshape(-1, *shape[len(inputs.batch) :])
    return torch.where((wide >= 0) & (wide < count), wide, -1).int(), count


def look(
    names: Collection[str],
    top: int,
    labels: Labels | None,
    splats: Splats,
    tiles: TileLists,
    width: int,
    height: int,
    settings: RenderSettings,
    **response: Any,
) -> dict[str, Tensor]:
    """Those of the outputs `SEEN` that are among the names, the `top` heaviest splats of each pixel, and how
    much of each Gaussian is seen under which label; with the batch dimension of the stages."""
    found: dict[str, Tensor] = {}
    wanted = {_NEEDS[name] for name in names if name in _NEEDS}
    if wanted or top:
        seen = sightings(
            splats, tiles, width, height, settings, first="first" in wanted, median="median" in wanted,
            strongest="strongest" in wanted, counts="counts" in wanted, top=top, **response,
        )  # fmt: skip
        for name in SEEN:
            if name in names:
                image = getattr(seen, _NEEDS[name])
                found[name] = _depths(image, splats, **response) if name == "median_depth" else image
        if seen.top_ids is not None and seen.top_weights is not None:
            found |= {"top_ids": seen.top_ids, "top_weights": seen.top_weights}
    if labels is not None:
        found["label_weights"] = label_weights(splats, tiles, *labels, width, height, settings, **response)
    return found


def _depths(ids: Tensor, splats: Splats, response: str, rays: Rays | None, **others: Any) -> Tensor:
    del others
    if EVERY_RESPONSE[response].flat:
        assert rays is not None
        return depths_in_pixels(ids, rays)
    return depths_of(ids, splats.depths)


def depths_of(ids: Tensor, depths: Tensor) -> Tensor:
    """The depths [B, C, N] of the splats [B, C, H, W], zero for -1. Differentiable: a pixel's gradient goes
    to the one splat."""
    with_none = torch.nn.functional.pad(depths, (1, 0))
    return with_none.gather(-1, ids.flatten(2).long() + 1).reshape(ids.shape)
