"""Rotation of real spherical-harmonic colours, degrees 0 to 4, in the basis of 3D Gaussian splatting.

A Gaussian's colour is f(d) = sum_k c_k b_k(d) over unit view directions d. When the scene is turned by R, the
colour seen along R d must be the one that was seen along d, so the new function is f'(d) = f(R^T d). Every
band l (its 2l+1 functions) is closed under rotation, and its coefficients change by the matrix

    D_l[j, k] = integral over the sphere of b_j(d) b_k(R^T d),      c' = D_l c,

because the basis is orthonormal. The integrand is a polynomial of degree 2l, for which the Gauss-Legendre (in
z) times equidistant (in azimuth) rule used here is exact. So there are no tables and no special cases, and a
different sign or order of the basis functions would need no change here.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

MAX_DEGREE = 4


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
        [torch.full_like(x, 0.28209479177387814)],
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


def _sphere_quadrature(degree: int) -> tuple[Tensor, Tensor]:
    """Unit vectors [P, 3] and weights [P], float64, exact for polynomials of degree <= 2 * degree."""
    heights, height_weights = np.polynomial.legendre.leggauss(degree + 1)
    azimuths = 2 * math.pi * np.arange(2 * degree + 1) / (2 * degree + 1)
    z, phi = (grid.ravel() for grid in np.meshgrid(heights, azimuths, indexing="ij"))
    radius = np.sqrt(1 - z * z)
    directions = np.stack([radius * np.cos(phi), radius * np.sin(phi), z], axis=-1)
    weights = np.repeat(height_weights * 2 * math.pi / len(azimuths), len(azimuths))
    return torch.from_numpy(directions), torch.from_numpy(weights)


def sh_rotation_matrix(rotation: Tensor, degree: int) -> Tensor:
    """How the coefficients of all bands up to a degree change when the scene is turned.

    Args:
        rotation: proper rotation matrix [3, 3].
        degree: 0 to 4.

    Returns:
        Block-diagonal orthogonal matrix [K, K], float64, on the CPU: c' = D c. D(R1 R2) = D(R1) D(R2).
    """
    directions, weights = _sphere_quadrature(degree)
    turned = directions @ rotation.detach().to("cpu", torch.float64)  # rows are R^T d
    before, after = sh_basis(directions, degree), sh_basis(turned, degree)
    matrix = (before * weights[:, None]).T @ after
    band = torch.cat([torch.full((2 * l + 1,), l) for l in range(degree + 1)])  # noqa: E741
    return torch.where(band[:, None] == band[None, :], matrix, 0.0)


def rotate_sh(shN: Tensor, rotation: Tensor) -> Tensor:
    """The coefficients beyond the constant one after the scene is turned (the constant one never changes).

    Args:
        shN: [N, K-1, 3], K = 1, 4, 9, 16 or 25.
        rotation: proper rotation matrix [3, 3].

    Returns:
        [N, K-1, 3], same dtype and device, differentiable with respect to `shN`.
    """
    degree = degree_of(shN.shape[1] + 1)
    if degree == 0:
        return shN
    matrix = sh_rotation_matrix(rotation, degree)[1:, 1:].to(shN.device, shN.dtype)
    return torch.einsum("jk,nkc->njc", matrix, shN)
