"""Scenes in frames whose axes point other ways, by signs alone and therefore exactly.

Turning by 180 degrees about x takes COLMAP's frame (x right, y down, z forward; "RDF") to the one of .spz
(right, up, back; "RUB"), about z to the one of glTF (left, up, forward; "LUF"). Positions change by the signs
of their axes, a quaternion's vector part by the products of the other two signs, and an SH coefficient by the
parity of its basis function.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import torch

from gsplat_core.io.arrays import Arrays
from gsplat_core.scene.harmonics import degree_of, sh_basis

SIGNS = {"x": (1, -1, -1), "y": (-1, 1, -1), "z": (-1, -1, 1)}


def half_turn(arrays: Arrays, axis: Literal["x", "y", "z"]) -> Arrays:
    """The scene turned by 180 degrees about an axis, in new arrays where it changes. Its own inverse."""
    signs = np.array(SIGNS[axis], np.float32)
    with np.errstate(invalid="ignore"):  # signalling NaNs of damaged files: found by keep_usable
        return arrays | {
            "means": arrays["means"] * signs,
            "quats": arrays["quats"] * np.array([1, *signs.prod() * signs], np.float32),
            "shN": arrays["shN"] * sh_signs(axis, degree_of(arrays["shN"].shape[1] + 1))[:, None],
        }


@cache
def sh_signs(axis: Literal["x", "y", "z"], degree: int) -> np.ndarray:
    """What every SH coefficient beyond the constant one [K-1] is multiplied with, 1 or -1, float32."""
    direction = torch.tensor([0.36, 0.48, 0.8], dtype=torch.float64)  # a zero of no basis function
    turned = direction * torch.tensor(SIGNS[axis])
    return (sh_basis(turned, degree) / sh_basis(direction, degree)).sign()[1:].float().numpy()
