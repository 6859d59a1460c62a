"""Generalized exponential splats (GES, Hamdi et al. 2024).

Opacity falls with the distance from the centre as exp(-(q/2)^(beta/2)), where q is the squared Mahalanobis
distance: beta = 2 is the Gaussian, less has a peak and a long tail, more is flat with a sharp edge. GES
approximates this by a Gaussian whose scales depend on beta; here the response itself is rendered
(csrc/math/response/generalized.h), and beta is trained within the bounds that it has there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.scene.schema import GAUSSIAN, Field, between

SCHEMA = GAUSSIAN.plus(Field("beta", activation=between(0.5, 8.0), learning_rate=1e-2))
"""A raw beta of 0, where training starts, is the Gaussian's, the geometric mean of the bounds."""


@register("generalized", SCHEMA, any_axes=True)
def generalized(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads nothing from the context."""
    beta = SCHEMA["beta"].value(params["beta"])
    return gaussian(params, context)._replace(response="generalized", extras=beta[:, None])
