"""Gaussians of a density that rays are cast through (RayGauss, Blanc et al. 2025; `gsplat_core/raygauss.py`).

The parameters are those of the plain Gaussian and up to seven lobes of colour. A raw opacity x stands for the
density that has, along a line through the centre of a Gaussian that is round and as large, the opacity
sigmoid(x):

    density sqrt(2 pi) s = softplus(x),    s = (s_1 s_2 s_3)^(1/3),

so that it is positive, has no upper bound, needs no unit of length, and whatever knows opacities (density
control, files, the rasterizer for a quick look) knows what they mean. A lobe, a spherical Gaussian, adds the
colour a exp(k (axis . d - 1)) in the direction d from the camera to the centre; harmonics and lobes together
are cut off at black.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.render.volume import Volume
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.schema import GAUSSIAN, Field

NAME = "raygauss"
LOBES = 7
LOBE_FIELDS = ("lobe_axes", "lobe_sharpness", "lobe_colors")

SCHEMA = GAUSSIAN.plus(
    Field("lobe_axes", (LOBES, 3), learning_rate=1e-3, similarity="direction"),
    Field("lobe_sharpness", (LOBES,), activation="exp", learning_rate=1e-2, blank=math.log(4.0)),
    Field("lobe_colors", (LOBES, 3), learning_rate=2.5e-3),
)
"""Lobes without a colour are not seen."""


def started(scene: Gaussians, seed: int) -> Gaussians:
    """Lobes in random directions, as equal ones would stay equal."""
    random = torch.Generator().manual_seed(seed)
    axes = torch.nn.functional.normalize(torch.randn(scene.num, LOBES, 3, generator=random), dim=-1)
    return dataclasses.replace(scene, further=scene.further | {"lobe_axes": axes.to(scene.means)})


@register(NAME, SCHEMA, started=started, any_axes=True)
def raygauss(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Lobes may be fewer, those in use so far."""
    thickness = torch.nn.functional.softplus(params["opacities"])
    size = params["scales"].mean(dim=-1).exp()
    return gaussian(params, context)._replace(
        volume=Volume(
            thickness / (math.sqrt(2 * math.pi) * size),
            params["lobe_axes"],
            SCHEMA["lobe_sharpness"].value(params["lobe_sharpness"]),
            params["lobe_colors"],
        )
    )
