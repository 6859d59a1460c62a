"""The reference's counterparts of the examples. A plugin of pytest: tests are parametrised by the registries
when they are imported."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.reference.cameras import CAMERAS, Camera, Intrinsics, near_the_image, pinhole
from gsplat_core.reference.payloads import PAYLOADS, Payload, Seen
from gsplat_core.reference.responses import RESPONSES, Response


def radial(points: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Brown, "Decentering Distortion of Lenses" (1966), first term."""
    x, y, z = points.unbind(-1)
    (k,) = intrinsics.lens.unbind(-1)
    stretch = 1 + k * ((x / z).square() + (y / z).square())
    return pinhole(torch.stack([stretch * x, stretch * y, z], dim=-1), intrinsics)


def cauchy(q: Tensor, extras: Tensor) -> Tensor:
    """With a very long tail."""
    return 1 / (1 + q)


def sensitivity(seen: Seen) -> Tensor:
    """Squares of the gradients of the centre, pixel by pixel."""
    return seen.v_means2d.square().sum(1)


CAMERAS["radial"] = Camera(radial, near_the_image, coefficients=((-0.1, 0.1),))
RESPONSES["cauchy"] = Response(cauchy)
PAYLOADS["sensitivity"] = Payload(2, sensitivity)
