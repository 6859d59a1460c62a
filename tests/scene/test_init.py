"""Initial Gaussians: their size follows from the gaps, whatever the points are like."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gsplat_core.scene.cameras import Camera, rigid
from gsplat_core.scene.harmonics import rgb_of
from gsplat_core.scene.init import initialize, random_points


def test_lattice_gaps_colours_and_opacity() -> None:
    lattice = torch.cartesian_prod(*[torch.arange(5.0) * 0.5] * 3)
    rgb = torch.rand(len(lattice), 3, generator=torch.Generator().manual_seed(0))
    scene = initialize(lattice, rgb, sh_degree=2)
    torch.testing.assert_close(scene.scales, torch.full((125, 3), math.log(0.5)))  # every gap is 0.5
    torch.testing.assert_close(torch.sigmoid(scene.opacities), torch.full((125,), 0.1))
    torch.testing.assert_close(rgb_of(scene.sh0[:, 0]), rgb)
    assert scene.shN.shape == (125, 8, 3)
    assert (scene.shN == 0).all()
    assert torch.equal(scene.means, lattice)
    assert torch.equal(scene.quats, torch.tensor([[1.0, 0, 0, 0]]).repeat(125, 1))


def test_radius_is_the_root_mean_square_distance_to_three_neighbours() -> None:
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [10, 10, 10]])
    scene = initialize(points, torch.zeros(5, 3), scale_factor=0.1)
    assert scene.scales[0, 0].exp().item() == pytest.approx(0.1 * math.sqrt((1 + 4 + 9) / 3))


@pytest.mark.parametrize(
    "points",
    [
        torch.zeros(100, 3),
        torch.rand(100, 3) * torch.tensor([1.0, 1.0, 0.0]),
        torch.tensor([[1.0, 2.0, 3.0]]),
        torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]),
        torch.rand(100, 3) + 1e6,
        torch.rand(100, 3) * 1e12,
    ],
    ids=["coincident", "a plane", "one point", "two equal points", "far from the origin", "huge"],
)
def test_awkward_points_give_finite_gaussians(points: torch.Tensor) -> None:
    scene = initialize(points, torch.full_like(points, 0.5))
    assert all(torch.isfinite(tensor).all() for tensor in scene.params.values())


def test_no_points_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="N >= 1"):
        initialize(torch.zeros(0, 3), torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"\[2, 3\] and \[3, 3\]"):
        initialize(torch.zeros(2, 3), torch.zeros(3, 3))


def ring(center: tuple[float, float, float]) -> list[Camera]:
    """Eight cameras on a circle of radius 2 that look at its centre, z up."""
    K = np.array([[100.0, 0, 50], [0, 120, 40], [0, 0, 1]])
    cameras = []
    for angle in np.arange(8) * math.pi / 4:
        outward = np.array([math.cos(angle), math.sin(angle), 0])
        down, forward = np.array([0, 0, -1.0]), -outward
        rotation = np.stack([np.cross(down, forward), down, forward])
        position = np.array(center) + 2 * outward
        cameras.append(Camera(rigid(rotation, -rotation @ position), K, 100, 80))
    return cameras


def test_random_points_are_seen_and_lie_in_the_cube() -> None:
    center = (100.0, -50.0, 20.0)
    cameras = ring(center)
    points, colors = random_points(cameras, length=2.2, count=5000, seed=3)
    assert points.shape == colors.shape == (5000, 3)
    assert ((points - torch.tensor(center)).abs() <= 3 * 2.2 + 1e-3).all()
    assert ((colors >= 0) & (colors <= 1)).all()
    seen = np.zeros(len(points), bool)
    for camera in cameras:
        local = points.double().numpy() @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixels = (local @ camera.K.T)[:, :2] / local[:, 2:]
        seen |= (local[:, 2] > 0) & ((pixels >= -0.01) & (pixels <= [100.01, 80.01])).all(axis=1)
    assert seen.all()


def test_random_points_repeat_with_the_seed() -> None:
    first, again, other = (random_points(ring((0, 0, 0)), 2.2, 100, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
