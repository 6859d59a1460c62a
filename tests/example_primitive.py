"""An example of a primitive, as CONTRIBUTING says how to add one: Gaussians that are born, fly and glow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.scene.schema import GAUSSIAN, Field, between

SCHEMA = GAUSSIAN.plus(
    Field("velocities", (3,), learning_rate=1e-4, similarity="vector"),
    Field("glow", activation=between(0.5, 2.0), learning_rate=1e-2),
    Field("birth", role="carried"),
)


@register("firefly", SCHEMA)
def firefly(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads `time` from the context, 1 if it is not given."""
    plain = gaussian(params, context)
    age = context.get("time", 1.0) - params["birth"]
    glow = SCHEMA["glow"].value(params["glow"])
    return plain._replace(
        means=plain.means + age[:, None] * params["velocities"],
        opacities=(plain.opacities * glow).clamp(max=1.0),
    )
