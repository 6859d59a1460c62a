"""Surfels: flat Gaussians, discs that pixels see where their rays meet them (2DGS, Huang et al. 2024).

The parameters are those of the plain Gaussian, of whose scales the third one does not matter: the third axis
is the normal (csrc/math/response/surfel.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gsplat_core.primitive import Evaluated, gaussian, register


@register("2dgs")
def surfel(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    return gaussian(params, context)._replace(response="surfel")
