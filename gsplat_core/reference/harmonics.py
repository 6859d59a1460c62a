"""Colours that depend on the direction from which a Gaussian is seen."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sh_basis(directions: Tensor, degree: int) -> Tensor:
    """Real spherical harmonics with the Condon-Shortley sign, [..., (degree + 1)^2], of directions [..., 3].

    Order l = 0 .. degree, m = -l .. l. The part in x, y is the real or imaginary part of (x + iy)^|m|; the
    part in z is the |m|-th derivative of the Legendre polynomial, by its recurrence in l.
    """
    x, y, z = torch.nn.functional.normalize(directions, dim=-1).unbind(-1)
    basis: list[Tensor] = [z] * (degree + 1) ** 2
    real, imaginary = torch.ones_like(x), torch.zeros_like(x)
    for m in range(degree + 1):
        below, legendre = torch.zeros_like(z), torch.full_like(z, math.prod(range(1, 2 * m, 2)))
        for l in range(m, degree + 1):  # noqa: E741
            if l > m:
                below, legendre = legendre, ((2 * l - 1) * z * legendre - (l + m - 1) * below) / (l - m)
            norm = math.sqrt((2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m))
            sign = (-1) ** m * (math.sqrt(2) if m > 0 else 1)
            basis[l * l + l - m] = sign * norm * legendre * imaginary
            basis[l * l + l + m] = sign * norm * legendre * real
        real, imaginary = x * real - y * imaginary, x * imaginary + y * real
    return torch.stack(basis, dim=-1)


def view_dependent(
    coefficients: Tensor, means: Tensor, viewmats: Tensor, visible: Tensor, degree: int, band: float
) -> tuple[Tensor, Tensor]:
    """Colours [B, C, N, 3] from coefficients [B, 1 or C, N, K, 3] and centres [B, 1, N, 3] seen by cameras
    [B, C, 1, 4, 4]: max(0, 0.5 + sum). Also [B, C, N] whether one is nearly 0."""
    centres = -(viewmats[..., :3, :3].mT @ viewmats[..., :3, 3:])[..., 0]
    basis = sh_basis(torch.where(visible[..., None], means - centres, 1.0), degree)
    active = coefficients[..., : (degree + 1) ** 2, :].expand(*basis.shape, 3)
    colors = 0.5 + torch.einsum("bcnk,bcnkd->bcnd", basis, active)
    return colors.clamp(min=0), (colors.abs() < band).any(-1)
