"""The 3D filter of Mip-Splatting (Yu et al. 2024): no Gaussian is finer than what a photograph resolves.

Each Gaussian is smoothed with an isotropic one of standard deviation f (the field `filter_3D`, in scene
units): it becomes larger and fainter,

    s' = sqrt(s^2 + f^2)  along each axis,    o' = o sqrt(prod s^2 / prod (s^2 + f^2)),

which keeps its integral. f = sqrt(0.2) / r, where r is the finest rate, in pixels per scene unit, at which a
training camera samples the place (equations 5 and 7). It is not trained; whoever trains computes it anew as
Gaussians move and are added. Once training ends, the filter is part of the scales and
opacities (`baked`): zooming in then shows no detail that no photograph had, in any viewer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.schema import GAUSSIAN, Field

FILTER = "filter_3D"
"""The field, by the name that it has in files of Mip-Splatting."""

SCREEN_FILTER = 0.1
"""The variance of the screen filter that belongs to it, in square pixels."""

SCHEMA = GAUSSIAN.plus(Field(FILTER, role="carried", similarity="length"))
"""A Gaussian without the filter is a plain one."""

_VARIANCE = 0.2
"""Of the filter, in squares of the finest sampling interval."""


def baked(scene: Gaussians) -> Gaussians:
    """The scene of plain Gaussians that have the filter in their scales and opacities."""
    return applied(scene.with_primitive(PLAIN), scene.extras[FILTER])


@register("mip", SCHEMA, baked=baked)
def mip(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    plain = gaussian(params, context)
    assert plain.scales is not None
    # Roots and quotients alone: they round alike everywhere (`activations.sigmoid`). The floor is that of
    # scales whose squares are 0.
    scales = (plain.scales.square() + params[FILTER].square()[:, None]).clamp(min=1e-36).sqrt()
    kept = plain.scales / scales
    return plain._replace(scales=scales, opacities=plain.opacities * kept[:, 0] * kept[:, 1] * kept[:, 2])


def deviations(rates: Tensor) -> Tensor:
    """[N] the filter of Gaussians in places that are sampled with at most so many pixels per scene unit [N]
    (`render/sampling.py`). Where that is 0, which no camera sees, it is the largest of all others, and if all
    are, 0."""
    seen = rates > 0
    if not bool(seen.any()):
        return torch.zeros_like(rates)
    return math.sqrt(_VARIANCE) / torch.where(seen, rates, rates[seen].min())


def applied(gaussians: Gaussians, deviations: Tensor) -> Gaussians:
    """The scene with the filter in its scales and opacities.

    Args:
        deviations: [N], f of every Gaussian, in scene units.
    """
    scales = gaussians.scales.double()
    smoothing = 2 * deviations.double().abs().log()[:, None]
    filtered = torch.logaddexp(2 * scales, smoothing) / 2
    # In logarithms: opacities near 0 and 1 keep their digits.
    opacity = torch.nn.functional.logsigmoid(gaussians.opacities.double())
    opacity = opacity + torch.where(deviations == 0, 0.0, (scales - filtered).sum(dim=1))
    logits = opacity - torch.log(-torch.expm1(opacity))
    logits = torch.where(deviations == 0, gaussians.opacities.double(), logits)
    return dataclasses.replace(
        gaussians,
        scales=torch.where((deviations == 0)[:, None], gaussians.scales, filtered.to(gaussians.scales.dtype)),
        opacities=logits.to(gaussians.opacities.dtype),
    )
