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

from gsplat_core.scene.harmonics import degree_of, sh_basis

_ROWS_AT_A_TIME = 1024


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


def rotate_each_sh(shN: Tensor, rotations: Tensor) -> Tensor:
    """`rotate_sh` with a rotation for each row: the colours of Gaussians that turn one by one.

    The turned function is taken at the points of the same rule, and put into the basis again, which needs no
    matrix [K, K] for each row.

    Args:
        shN: [N, K-1, 3], K = 1, 4, 9, 16 or 25.
        rotations: proper rotation matrices [N, 3, 3].

    Returns:
        [N, K-1, 3], same dtype and device, differentiable with respect to both.
    """
    degree = degree_of(shN.shape[1] + 1)
    if degree == 0:
        return shN
    directions, weights = (rule.to(shN.device) for rule in _sphere_quadrature(degree))
    back = (sh_basis(directions, degree)[:, 1:] * weights[:, None]).T
    turned = []
    for rows, turns in zip(shN.split(_ROWS_AT_A_TIME), rotations.split(_ROWS_AT_A_TIME), strict=True):
        seen = sh_basis(directions @ turns.double(), degree)[..., 1:]  # along R^T d
        turned.append((back @ (seen @ rows.double())).to(shN.dtype))
    return torch.cat(turned)
