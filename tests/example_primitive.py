"""An example of a primitive, as CONTRIBUTING says: Gaussians that are born, fly and glow, all in one wind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gsplat_core.primitive import Evaluated, gaussian, register
from gsplat_core.scene.schema import GAUSSIAN, Field, Shared, between

SCHEMA = GAUSSIAN.plus(
    Field("velocities", (3,), learning_rate=1e-4, similarity="vector"),
    Field("glow", activation=between(0.5, 2.0), learning_rate=1e-2),
    Field("birth", role="carried"),
).sharing(
    Shared("wind", (3,), learning_rate=1e-4, decay=0.1, similarity="vector"),
    Shared("seasons", (-1,), integer=True),
)


@register("firefly", SCHEMA)
def firefly(params: Mapping[str, Tensor], context: Mapping[str, Any]) -> Evaluated:
    """Reads `time` from the context, 1 if it is not given."""
    plain = gaussian(params, context)
    age = context.get("time", 1.0) - params["birth"]
    glow = SCHEMA["glow"].value(params["glow"])
    return plain._replace(
        means=plain.means + age[:, None] * (params["velocities"] + params["wind"]),
        opacities=(plain.opacities * glow).clamp(max=1.0),
    )
