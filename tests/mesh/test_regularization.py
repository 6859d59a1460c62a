"""What draws Gaussians to surfaces is what its formulas say, point by point in float64, slopes included."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gsplat_core.mesh.density import nearest
from gsplat_core.mesh.regularization import Camera, opacity_entropy, shown_near, surface_losses
from gsplat_core.primitive import Evaluated
from gsplat_core.quaternions import rotation_matrices

COUNT, POINTS, EXTENT = 40, 60, 1.3
WIDTH, HEIGHT = 24, 18


def scene() -> Evaluated:
    g = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=torch.float64)

    means = (random(COUNT, 3) - 0.5) * torch.tensor([1.6, 1.2, 0.4])
    leaves = means, random(COUNT, 4) - 0.5, 0.03 + 0.2 * random(COUNT, 3), 0.2 + 0.7 * random(COUNT)
    return Evaluated(*(leaf.double().requires_grad_() for leaf in leaves), colors=random(COUNT, 3))


def camera() -> Camera:
    """At (0.1, 0, -2), looking along z; depths are a ramp."""
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, 3] = torch.tensor([-0.1, 0.0, 2.0])
    K = torch.tensor([[22.0, 0, 12], [0, 22, 9], [0, 0, 1]], dtype=torch.float64)
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    return Camera(viewmat, K, (1.7 + 0.02 * x + 0.013 * y + 0.001 * x * y).double().requires_grad_())


def bilinear(depths: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Pixel centres are halves; outside of them the border goes on."""
    x, y = (x - 0.5).clamp(0, WIDTH - 1), (y - 0.5).clamp(0, HEIGHT - 1)
    left, top = min(int(x), WIDTH - 2), min(int(y), HEIGHT - 2)
    u, v = x - left, y - top
    upper = (1 - u) * depths[top, left] + u * depths[top, left + 1]
    lower = (1 - u) * depths[top + 1, left] + u * depths[top + 1, left + 1]
    return (1 - v) * upper + v * lower


def by_hand(g: Evaluated, owners: Tensor, noise: Tensor, seen: Camera) -> tuple[Tensor, Tensor, int]:
    rotations = rotation_matrices(g.quats)
    distances, normals = [], []
    for owner, random in zip(owners.tolist(), noise, strict=True):
        point = g.means[owner] + rotations[owner] @ (g.scales[owner] * 1.5 * random)
        at = seen.viewmat[:3, :3] @ point + seen.viewmat[:3, 3]
        x, y = (seen.K @ at)[:2] / at[2]
        if not (at[2] > 0 and 0 <= x < WIDTH and 0 <= y < HEIGHT):
            continue
        if seen.kept is not None and not seen.kept[int(y), int(x)]:
            continue
        rows = (g.means - g.means[owner]).norm(dim=1).argsort()[:16].tolist()
        density, thickness, blended, weights = 0.0, 0.0, torch.zeros(3, dtype=torch.float64), 0.0
        own = rotations[owner][:, int(g.scales[owner].argmin())]
        for row in rows:
            away = (rotations[row].T @ (point - g.means[row])) / g.scales[row]
            one = g.opacities[row] * torch.exp(-0.5 * away @ away)
            normal = rotations[row][:, int(g.scales[row].argmin())]
            weight = (one * ((point - g.means[row]) @ normal).abs() / g.scales[row].min() ** 2).detach()
            blended = blended + weight * (normal if normal @ own >= 0 else -normal)
            weights = weights + weight
            density, thickness = density + one / 16, thickness + g.scales[row].min() / 16
        f = thickness * (-2 * density.log()).sqrt()
        off = (f - (bilinear(seen.depths, x, y) - at[2]).abs()).abs() / (0.1 * EXTENT)
        distances.append(off.clamp(max=10))
        normals.append((own - blended / weights).square().sum())
    return torch.stack(distances).mean(), torch.stack(normals).mean(), len(distances)


@pytest.mark.parametrize("masked", [False, True])
def test_losses_and_their_slopes_are_those_of_the_formulas(masked: bool) -> None:
    g, random = scene(), torch.Generator().manual_seed(1)
    seen = camera()
    if masked:
        kept = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
        kept[:, :11] = False
        seen = seen._replace(kept=kept)
    owners = torch.randint(COUNT, (POINTS,), generator=random)
    noise = torch.randn(POINTS, 3, generator=random, dtype=torch.float64)
    found = surface_losses(g, owners, noise, nearest(g.means), seen, EXTENT)
    *expected, counted = by_hand(g, owners, noise, seen)
    assert 10 < counted < POINTS
    leaves = (g.means, g.quats, g.scales, g.opacities, seen.depths)
    for value, truth in zip(found, expected, strict=True):
        assert float(value.detach()) == pytest.approx(float(truth.detach()), rel=1e-9)
        slopes, true_slopes = (
            torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True, materialize_grads=True)
            for loss in (value, truth)
        )
        for slope, true_slope in zip(slopes, true_slopes, strict=True):
            torch.testing.assert_close(slope, true_slope, rtol=1e-6, atol=1e-9)


def test_nothing_seen_is_no_loss_and_no_slope() -> None:
    g, seen = scene(), camera()
    away = seen._replace(viewmat=seen.viewmat - torch.tensor([0, 0, 0, 99.0]).double())
    found = surface_losses(
        g, torch.zeros(5, dtype=torch.long), torch.zeros(5, 3).double(), nearest(g.means), away, EXTENT
    )
    assert [float(loss.detach()) for loss in found] == [0, 0]
    assert not bool(torch.autograd.grad(sum(found), g.means)[0].any())


def test_gaussians_at_the_surface_are_those_within_two_deviations_along_the_ray() -> None:
    """On the camera's axis, with a deviation of 0.1 along it and others across."""
    z = torch.tensor([2.0, 2.19, 2.21, 1.81, 1.79, 2.0])
    count = len(z)
    g = Evaluated(
        means=torch.stack([torch.zeros(count), torch.zeros(count), z], dim=1),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        scales=torch.tensor([[0.5, 0.5, 0.1]]).repeat(count, 1),
        opacities=torch.ones(count),
        colors=torch.ones(count, 3),
    )
    K = torch.tensor([[20.0, 0, 8], [0, 20, 8], [0, 0, 1]])
    seen = Camera(torch.eye(4), K, torch.full((16, 16), 2.0))
    visible = torch.tensor([True, True, True, True, True, False])
    assert shown_near(g, visible, seen).tolist() == [0, 1, 3]
    nowhere = seen._replace(kept=torch.zeros(16, 16, dtype=torch.bool))
    assert not len(shown_near(g, visible, nowhere))


def test_the_entropy_is_least_at_both_ends() -> None:
    assert float(opacity_entropy(torch.tensor([0.5]))) == pytest.approx(math.log(2))
    assert float(opacity_entropy(torch.tensor([0.0, 1.0]))) == pytest.approx(0, abs=1e-4)
    o = torch.tensor([0.2, 0.8], requires_grad=True)
    slopes = torch.autograd.grad(opacity_entropy(o), o)[0]
    assert slopes[0] > 0 > slopes[1]
