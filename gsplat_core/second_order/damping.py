"""The damping D of ``J^T H J + lambda D``: its diagonal, weighted by kind of parameter, with a floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.ranges import NOT_NEGATIVE, check_ranges
from gsplat_core.second_order.vectors import Vector


@dataclass(frozen=True)
class Kinds:
    """How much each kind of parameter is damped relative to the others: a trust region per attribute.

    The coefficients of view-dependent colours are many and each is seen from few directions, so that they
    would fit the training views at the expense of the others.
    """

    means: Annotated[float, NOT_NEGATIVE] = 1.0
    quats: Annotated[float, NOT_NEGATIVE] = 1.0
    scales: Annotated[float, NOT_NEGATIVE] = 1.0
    opacities: Annotated[float, NOT_NEGATIVE] = 1.0
    sh0: Annotated[float, NOT_NEGATIVE] = 1.0
    shN: Annotated[float, NOT_NEGATIVE] = 10.0

    def __post_init__(self) -> None:
        check_ranges(self)


def damping(diagonal: Vector, strength: float, kinds: Kinds, floor: float) -> dict[str, Tensor]:
    """`strength` times D.

    Args:
        diagonal: of the matrix that is damped.
        floor: see :func:`floored`.
    """
    return {name: strength * getattr(kinds, name) * floored(d, floor) for name, d in diagonal.items()}


def floored(diagonal: Tensor, floor: float) -> Tensor:
    """At least `floor` times the mean over the rows that are not zero; never zero.

    Args:
        diagonal: [N, ...] of one kind of parameter.
    """
    rows = diagonal.reshape(diagonal.shape[0], -1)
    seen = (rows > 0).any(dim=1)
    mean = rows.sum(dtype=torch.float64) / max(int(seen.sum()) * rows.shape[1], 1)
    return diagonal.clamp(min=max(floor * float(mean), 1e-30))
