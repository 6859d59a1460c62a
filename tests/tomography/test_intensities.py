"""Scenes of X-Gaussian as plain Gaussians."""

from __future__ import annotations

import pytest
import torch
from splat_files import typical_scene

from gsplat_core.scene.harmonics import rgb_of, sh_basis
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.intensities import cuboid, folded


def constants() -> torch.Tensor:
    """The signed numbers in front of the harmonics of 3DGS: what these are over polynomials of directions,
    which are left out."""
    direction = torch.nn.functional.normalize(torch.tensor([0.3, 0.5, 0.7], dtype=torch.float64), dim=0)
    x, y, z = direction.tolist()
    xx, yy, zz = x * x, y * y, z * z
    polynomials = [
        1, y, z, x, x * y, y * z, 2 * zz - xx - yy, x * z, xx - yy, y * (3 * xx - yy), x * y * z,
        y * (4 * zz - xx - yy), z * (2 * zz - 3 * xx - 3 * yy), x * (4 * zz - xx - yy), z * (xx - yy),
        x * (xx - 3 * yy),
    ]  # fmt: skip
    return sh_basis(direction[None], 3)[0] / torch.tensor(polynomials, dtype=torch.float64)


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_coefficients_act_without_directions(degree: int) -> None:
    scene = typical_scene(20, degree)
    coefficients = torch.cat([scene.sh0, scene.shN], dim=1).double()
    k = constants()[: coefficients.shape[1]]
    expected = 0.5 + torch.einsum("k,nkc->nc", k, coefficients)
    plain = folded(scene)
    torch.testing.assert_close(rgb_of(plain.sh0[:, 0]).double(), expected, rtol=1e-5, atol=1e-5)
    assert plain.sh_degree == 0
    assert torch.equal(plain.means, scene.means)


def test_harmonics_beyond_its_own_are_refused() -> None:
    with pytest.raises(ValueError, match="up to degree 3, this scene up to 4"):
        folded(typical_scene(3, 4))


def test_the_cuboid_is_that_of_the_scanner() -> None:
    grid = Grid((6, 4, 5), (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    points = cuboid(grid, 2)
    assert points.shape == (3 * 2 * 3, 3)
    torch.testing.assert_close(points[0], torch.tensor([1.05, 2.1, 3.15]))
    torch.testing.assert_close(points[-1], torch.tensor([1.45, 2.5, 4.35]))
