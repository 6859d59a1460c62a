"""Line integrals and volumes of ellipsoids."""

from __future__ import annotations

import math

import pytest
import torch
from make_phantom import make_scan

from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.phantoms import Phantom, ball, counted, shepp_logan, trabecular


def density_at(phantom: Phantom, points: torch.Tensor) -> torch.Tensor:
    """Of points [..., 3], by the definition of ellipsoids."""
    total = torch.zeros(points.shape[:-1], dtype=torch.float64)
    for i in range(len(phantom.densities)):
        local = torch.einsum("ji,...j->...i", phantom.rotations[i], points - phantom.centres[i])
        total += phantom.densities[i] * ((local / phantom.axes[i]).square().sum(-1) <= 1)
    return total


@pytest.mark.parametrize("beam", ["cone", "parallel"])
@pytest.mark.parametrize("phantom", [shepp_logan(), trabecular(1, rods=12)], ids=["head", "bone"])
def test_line_integrals_are_sums_along_rays(beam: str, phantom: Phantom) -> None:
    scanner = make_scan("shepp-logan", beam, 2, 0, 6, 2, 0, 0).scanner
    origins, directions = scanner.rays()
    steps = torch.linspace(3.5, 9, 2751, dtype=torch.float64)
    points = origins[..., None, :] + steps[:, None] * directions[..., None, :]
    summed = density_at(phantom, points).sum(-1) * (steps[1] - steps[0])
    torch.testing.assert_close(phantom.line_integrals(scanner), summed, rtol=0, atol=8e-3)
    assert float(summed.max()) > 0.2


def test_the_voxels_of_a_sphere_are_its_mass() -> None:
    grid = Grid((20, 24, 22), (0.1, 0.09, 0.1), (-1.0, -1.1, -1.1))
    volume = ball(0.6, 0.5, (0.2, -0.1, 0.15)).volume(grid, samples=3)
    mass = float(volume.sum()) * math.prod(grid.spacing)
    assert mass == pytest.approx(0.5 * 4 / 3 * math.pi * 0.6**3, rel=0.01)
    middle = (volume.sum((1, 2)) * grid.centres(0)).sum() / volume.sum()
    assert float(middle) == pytest.approx(0.2, abs=0.01)


def test_what_is_outside_of_the_volume_is_not_in_it() -> None:
    volume = ball(0.3, 1.0, (5.0, 0, 0)).volume(Grid.cube(4))
    assert not volume.any()


def test_counted_photons_scatter_around_the_truth() -> None:
    exact = torch.full((20_000,), 1.5, dtype=torch.float64)
    noisy = counted(exact, 1e4, 0)
    # The standard deviation of the logarithm of a count is one over the root of its mean.
    assert float(noisy.std()) == pytest.approx((1e4 * math.exp(-1.5)) ** -0.5, rel=0.03)
    assert float(noisy.mean()) == pytest.approx(1.5, abs=1e-3)
    assert torch.equal(noisy, counted(exact, 1e4, 0))
    assert bool(counted(torch.full((9,), 50.0).double(), 10.0, 0).isfinite().all())
