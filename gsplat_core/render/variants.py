"""What a renderer can be made of, as the compiled library lists it (``csrc/raster/variants.h``)."""

from __future__ import annotations

from typing import NamedTuple

from gsplat_core.ops.variants import PAYLOADS as PAYLOADS
from gsplat_core.ops.variants import listed


class Response(NamedTuple):
    """What one must know of a response without its formula."""

    extras: int
    """How many numbers a splat has for it besides its shape: the last size of `extras`."""
    quadratic: bool
    """Whether the logarithm of alpha is a polynomial of degree 2 of the offset, which exact blocks of
    Gauss-Newton matrices need."""
    integrates: bool
    """Whether alpha is an integral over the pixel's window instead of a sample at its centre."""
    along_rays: bool
    """Whether alpha is that of the pixel's ray through the Gaussian in the world, and not of a splat."""
    flat: bool = False
    """Whether it is one of surfels, which pixels see at depths of their own."""


CAMERAS: dict[str, int] = {name: count for name, (count,) in listed("cameras").items()}
"""Camera models, and how many coefficients each has beyond fx, fy, cx, cy: the last size of `lens`."""

EVERY_RESPONSE: dict[str, Response] = {
    name: Response(extras, *(trait == 1 for trait in traits))
    for name, (extras, *traits) in listed("responses").items()
}
"""How opaque a splat is at an offset from its centre: ``csrc/math/response/NAME.h`` has the formulas."""

RESPONSES: dict[str, Response] = {name: r for name, r in EVERY_RESPONSE.items() if not r.flat}
"""Those of 3D Gaussians."""

COMPOSITORS: tuple[str, ...] = tuple(listed("compositors"))
"""How splats become a pixel."""
