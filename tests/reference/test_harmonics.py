"""gsplat_core/reference/harmonics.py against the complex spherical harmonics."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.special import sph_harm_y

from gsplat_core.reference import sh_basis


@pytest.mark.parametrize("degree", range(5))
def test_the_basis_is_that_of_the_complex_spherical_harmonics(degree: int) -> None:
    directions = torch.nn.functional.normalize(torch.randn(50, 3).double(), dim=-1)
    theta, phi = torch.acos(directions[:, 2]), torch.atan2(directions[:, 1], directions[:, 0])
    basis = sh_basis(3 * directions, degree)
    for m in range(-degree, degree + 1):
        value = torch.from_numpy(sph_harm_y(degree, abs(m), theta.numpy(), phi.numpy()))
        part = value.real if m >= 0 else value.imag
        expected = part * (math.sqrt(2) if m else 1)
        assert torch.allclose(basis[:, degree * degree + degree + m], expected, atol=1e-12)


def test_the_first_bases_are_those_of_3dgs() -> None:
    x, y, z = torch.nn.functional.normalize(torch.randn(3).double(), dim=0)
    basis = sh_basis(torch.stack([x, y, z]), 3)
    assert basis[0].item() == pytest.approx(0.28209479177387814)
    assert basis[1].item() == pytest.approx(-0.4886025119029199 * y.item())
    assert basis[3].item() == pytest.approx(-0.4886025119029199 * x.item())
    assert basis[7].item() == pytest.approx(-1.0925484305920792 * (x * z).item())
    assert basis[15].item() == pytest.approx(-0.5900435899266435 * (x * (x * x - 3 * y * y)).item())
