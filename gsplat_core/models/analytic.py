"""Gaussians that are integrated over each pixel (Analytic-Splatting, Liang et al. 2024).

The parameters are those of the plain Gaussian; what differs is that no splat is widened to the size of a
pixel, and none is sampled at the pixel's centre: opacity is what the pixel sees of it on average, from near
and from far (csrc/math/response/analytic.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gsplat_core.primitive import Evaluated, gaussian, register


@register("analytic", any_axes=True)
def analytic(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    return gaussian(params, context)._replace(response="analytic")
