"""GES as its code has it (Hamdi et al. 2024): Gaussians whose size has a further factor.

The paper's generalized exponential becomes in its rasterizer an ordinary Gaussian whose scales are multiplied
by a function of a trained shape b, from above 0 to below 2,

    phi(b) = 2 / (1 + exp(-b / 10)).

That adds nothing that scales could not express; what changes is how training moves them, together with the
resets of b (`trainers/parts/shapes.py`) and the loss of this method (`trainers/parts/frequency.py`). Splats
that truly fall off as a generalized exponential are `models/generalized.py`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.scene.gaussians import PLAIN, Gaussians
from gsplat_core.scene.schema import GAUSSIAN, Activation, Field

SHAPE = "shape"
"""The field b."""

STRENGTH = 0.1
"""How fast phi rises with b."""

SCHEMA = GAUSSIAN.plus(
    Field(
        SHAPE,
        activation=Activation(
            lambda raw: 2 * sigmoid(STRENGTH * raw), lambda value: torch.logit(value / 2) / STRENGTH
        ),
        learning_rate=1e-3,
    )
)
"""A shape of 0, where training starts, leaves a Gaussian as it is."""


def baked(scene: Gaussians) -> Gaussians:
    """The scene of plain Gaussians that have the factor in their scales: log s + log phi."""
    log_phi = math.log(2.0) + torch.nn.functional.logsigmoid(STRENGTH * scene.further[SHAPE].double())
    scales = (scene.scales.double() + log_phi[:, None]).to(scene.scales.dtype)
    return dataclasses.replace(scene.with_primitive(PLAIN), scales=scales)


@register("ges", SCHEMA, baked=baked)
def ges(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    plain = gaussian(params, context)
    assert plain.scales is not None
    return plain._replace(scales=plain.scales * SCHEMA[SHAPE].value(params[SHAPE])[:, None])
