"""Gaussians that are looked at along the ray of each pixel (3D Gaussian Ray Tracing, Moenne-Loccoz et al.
2024; 3DGUT, Wu et al. 2025).

The parameters are those of the plain Gaussian; what differs is that opacity is that of where a pixel's ray
comes nearest to the Gaussian in the world, and not that of its linearized image, which is wrong where
Gaussians are large and near, or lenses wide (csrc/math/response/along_rays.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gsplat_core.primitive import Evaluated, gaussian, register


@register("ray", any_axes=True)
def ray(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    return gaussian(params, context)._replace(response="ray")
