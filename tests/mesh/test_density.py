"""Densities and their gradients are those of the formula, summed in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.mesh.density import Density, nearest
from gsplat_core.primitive import Evaluated
from gsplat_core.quaternions import rotation_matrices

COUNT = 60


def cloud(dtype: torch.dtype = torch.float32) -> Evaluated:
    g = torch.Generator().manual_seed(3)

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=torch.float64).to(dtype)

    return Evaluated(
        means=random(COUNT, 3),
        quats=random(COUNT, 4) - 0.5,
        scales=0.02 + 0.2 * random(COUNT, 3),
        opacities=random(COUNT),
        colors=random(COUNT, 3),
    )


def points_near(gaussians: Evaluated) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(4)
    owners = torch.randint(COUNT, (200,), generator=g)
    return gaussians.means[owners] + 0.1 * torch.randn(200, 3, generator=g), owners


def brute_force(gaussians: Evaluated, point: Tensor, owner: int) -> Tensor:
    """By covariances, over the sixteen centres nearest to the owner's."""
    means = gaussians.means.double()
    rows = (means - means[owner]).norm(dim=1).argsort()[:16]
    total = torch.zeros((), dtype=torch.float64)
    for row in rows:
        rotation = rotation_matrices(gaussians.quats[row].double())
        covariance = rotation @ torch.diag(gaussians.scales[row].double() ** 2) @ rotation.T
        away = point - means[row]
        total = total + gaussians.opacities[row].double() * torch.exp(
            -0.5 * away @ covariance.inverse() @ away
        )
    return total


def test_densities_and_gradients_are_those_of_the_formula() -> None:
    gaussians = cloud()
    points, owners = points_near(gaussians)
    density = Density.of(gaussians)
    values, slopes = density.at(points, owners), density.gradient(points, owners)
    for i, owner in enumerate(owners.tolist()):
        point = points[i].double().requires_grad_()
        expected = brute_force(gaussians, point, owner)
        (slope,) = torch.autograd.grad(expected, point)
        assert float(values[i]) == pytest.approx(float(expected.detach()), rel=1e-4, abs=1e-6)
        torch.testing.assert_close(slopes[i].double(), slope, rtol=1e-3, atol=1e-4)


def test_densities_along_rays_are_those_of_their_points() -> None:
    gaussians = cloud(torch.float64)
    starts, owners = points_near(gaussians)
    starts, rays = starts.double(), torch.randn(200, 3, generator=torch.Generator().manual_seed(5)).double()
    steps = torch.linspace(-0.4, 0.4, 7).double().repeat(200, 1)
    density = Density.of(gaussians)
    along = density.along(starts, rays, owners, steps)
    for sample in range(7):
        points = starts + steps[:, sample, None] * rays
        torch.testing.assert_close(along[:, sample], density.at(points, owners))


def test_a_gaussian_is_its_own_first_neighbour_also_among_few() -> None:
    means = cloud().means
    assert nearest(means).shape == (COUNT, 16)
    assert torch.equal(nearest(means)[:, 0], torch.arange(COUNT))
    assert nearest(means[:5]).sort(dim=1).values.tolist() == [[0, 1, 2, 3, 4]] * 5
    assert nearest(means[:1]).tolist() == [[0]]


def test_flat_gaussians_have_finite_densities() -> None:
    gaussians = cloud()
    gaussians.scales[:, 2] = 0
    points, owners = points_near(gaussians)
    density = Density.of(gaussians)
    assert bool(density.at(points, owners).isfinite().all())
    assert bool(density.gradient(points, owners).isfinite().all())


def test_covariances_alone_are_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError, match="--method tsdf"):
        Density.of(cloud()._replace(quats=None, scales=None))
