"""A scene as columns of numbers that are worth coding: decorrelated colours, rotations without their slack.

| field    | columns  | what                                                                              |
|----------|----------|-----------------------------------------------------------------------------------|
| dc       | 3        | constant SH coefficient: brightness, then two colour differences (orthonormal)    |
| sh       | 3 (K-1)  | the other coefficients likewise, coefficient by coefficient                       |
| scales   | 3        | log-scales after the axes were renamed (`symmetry`)                               |
| rotation | 3        | x, y, z of the unit quaternion with w >= 0, after the renaming                    |
| opacity  | 1        | logit, within ±`OPACITY_LIMIT`                                                    |

Positions are treated apart (`positions`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core.compress import symmetry
from gsplat_core.errors import UnsuitableSceneError
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import num_coefficients
from gsplat_core.scene.schema import PARAMETERS, names_of

FIELDS = ("dc", "sh", "scales", "rotation", "opacity")
# Beyond these nothing changes in an image: alpha is capped at 0.99, and below 1/255 nothing is drawn.
OPACITY_LIMIT = 8.0
SCALE_LIMIT = 20.0

# Rows: brightness, red against blue, green against both. Orthonormal: errors keep their size.
_OPPONENT = torch.tensor([[3**-0.5] * 3, [2**-0.5, 0.0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]])


def to_fields(params: Mapping[str, Tensor], which: Tensor) -> dict[str, Tensor]:
    """The fields of raw parameters, after the renamings `which` [N]. Differentiable.

    Raises:
        UnsuitableSceneError: parameters that a plain Gaussian does not have; codecs know no others.
    """
    if further := [name for name in params if name not in PARAMETERS]:
        raise UnsuitableSceneError(
            "(memory)", f"codecs have no place for {names_of(further)}, which no plain Gaussian has",
            remedy="Train and code the scene as primitive 'gaussian'.",
        )  # fmt: skip
    quats, scales = symmetry.rename(params["quats"], params["scales"], which)
    return {
        "dc": opponent_columns(params["sh0"]),
        "sh": opponent_columns(params["shN"]),
        "scales": scales.clamp(-SCALE_LIMIT, SCALE_LIMIT),
        "rotation": quats[:, 1:],
        "opacity": params["opacities"].clamp(-OPACITY_LIMIT, OPACITY_LIMIT)[:, None],
    }


def scene_of(means: Tensor, fields: Mapping[str, Tensor]) -> Gaussians:
    """The scene with these positions [N, 3] and fields."""
    rest = from_fields(fields)
    return Gaussians(means, rest["quats"], rest["scales"], rest["opacities"], rest["sh0"], rest["shN"])


def from_fields(fields: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Raw parameters, all but the means. The inverse of `to_fields` with the axes as they are there."""
    rotation = fields["rotation"]
    squared = rotation.square().sum(dim=1, keepdim=True)
    # Rounding can push a vector out of the unit ball.
    rotation = rotation / squared.clamp(min=1).sqrt()
    w = (1 - squared).clamp(min=0).sqrt()
    return {
        "quats": torch.cat([w, rotation], dim=1),
        "scales": fields["scales"],
        "opacities": fields["opacity"][:, 0],
        "sh0": of_opponent_columns(fields["dc"]),
        "shN": of_opponent_columns(fields["sh"]),
    }


def opponent_columns(coefficients: Tensor) -> Tensor:
    """Coefficients [N, K, 3] as columns [N, 3 K]: of each its brightness and two colour differences."""
    return (coefficients @ _OPPONENT.to(coefficients).T).flatten(1)


def of_opponent_columns(columns: Tensor) -> Tensor:
    """The inverse of `opponent_columns`."""
    return columns.unflatten(1, (-1, 3)) @ _OPPONENT.to(columns)


def columns_of(field: str, sh_degree: int) -> int:
    """How many columns a field has."""
    return {"sh": 3 * (num_coefficients(sh_degree) - 1), "opacity": 1}.get(field, 3)
