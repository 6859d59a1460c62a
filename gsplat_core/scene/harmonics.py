"""Colours that depend on the direction: the real spherical harmonics of 3D Gaussian splatting.

A Gaussian's colour is 0.5 + sum_k c_k b_k(d) over unit view directions d.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

MAX_DEGREE = 4

SH_C0 = 1 / (2 * math.sqrt(math.pi))
"""The constant basis function."""

Numbers = TypeVar("Numbers", Tensor, np.ndarray)


def num_coefficients(degree: int) -> int:
    """Number K of basis functions up to and including a degree: (degree + 1)^2."""
    return (degree + 1) ** 2


def degree_of(coefficients: int) -> int:
    """The degree that has this many coefficients per channel (1, 4, 9, 16 or 25).

    Raises:
        ValueError: no degree from 0 to 4 has that many.
    """
    for degree in range(MAX_DEGREE + 1):
        if num_coefficients(degree) == coefficients:
            return degree
    raise ValueError(
        f"{coefficients} SH coefficients per channel: expected 1, 4, 9, 16 or 25 (degree 0 to 4)"
    )


def rgb_of(sh0: Numbers) -> Numbers:
    """The colours, mostly in [0, 1], that the constant coefficients alone make."""
    return 0.5 + SH_C0 * sh0


def sh0_of(rgb: Numbers) -> Numbers:
    """The constant coefficients that make a colour: the inverse of `rgb_of`."""
    return (rgb - 0.5) / SH_C0


def sh_basis(directions: Tensor, degree: int) -> Tensor:
    """The real SH basis of 3DGS: the orthonormal one with the Condon-Shortley phase, order m = -l .. l.

    Args:
        directions: unit vectors [..., 3].
        degree: 0 to 4.

    Returns:
        Values [..., (degree + 1)^2].
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"SH degree {degree}: expected 0 to {MAX_DEGREE}")
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    bands = [
        [torch.full_like(x, SH_C0)],
        [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x],
        [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * zz - xx - yy),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (xx - yy),
        ],
        [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * zz - xx - yy),
            0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
            -0.4570457994644658 * x * (4 * zz - xx - yy),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ],
        [
            2.5033429417967046 * x * y * (xx - yy),
            -1.7701307697799304 * y * z * (3 * xx - yy),
            0.9461746957575601 * x * y * (7 * zz - 1),
            -0.6690465435572892 * y * z * (7 * zz - 3),
            0.10578554691520431 * (zz * (35 * zz - 30) + 3),
            -0.6690465435572892 * x * z * (7 * zz - 3),
            0.47308734787878004 * (xx - yy) * (7 * zz - 1),
            -1.7701307697799304 * x * z * (xx - 3 * yy),
            0.6258357354491761 * (xx * (xx - 3 * yy) - yy * (3 * xx - yy)),
        ],
    ]
    return torch.stack([value for band in bands[: degree + 1] for value in band], dim=-1)
