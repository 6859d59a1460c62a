"""Flat Gaussians with splats as 3D Gaussians have them and the depths of their planes (AT-GS, Chen et al.
2024, after Gaussian Surfels, Dai et al. 2024).

The parameters are those of the plain Gaussian, of whose scales the third one does not matter: it counts as
zero, and the third axis is the normal. A flat Gaussian is seen from the front only, and a pixel sees it at
the depth at which its ray meets the plane (`render/planes.py`). Surfels (`models/surfel.py`) differ in the
image: they are evaluated in their plane, and from both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gsplat_core.models.surfel import started
from gsplat_core.primitive import Evaluated, gaussian, register


@register("flat", started=started)
def flat(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    return gaussian(params, context)._replace(planes=True)
