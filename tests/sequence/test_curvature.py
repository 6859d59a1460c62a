"""gsplat_core/sequence/curvature.py"""

from __future__ import annotations

import torch

from gsplat_core.sequence.curvature import curvature, eroded


def sphere(radius: float, size: int = 41) -> torch.Tensor:
    """Normals [H, W, 3] of a sphere that is looked at from far away, a unit per pixel."""
    y, x = torch.meshgrid(*[torch.arange(size) - size // 2] * 2, indexing="ij")
    z = (radius**2 - x**2 - y**2).clamp(min=1).sqrt()
    return torch.nn.functional.normalize(torch.stack([x, y, -z], dim=-1).float(), dim=-1)


def test_a_sphere_is_curved_by_one_over_its_radius() -> None:
    for radius in (100.0, 200.0):
        middle = curvature(sphere(radius))[20, 20]
        # Sobel sums up eight times a slope: |2/r| in x and in y, over the two numbers that change.
        torch.testing.assert_close(middle, torch.tensor(2 * 2**0.5 / radius), rtol=1e-3, atol=0)
    assert not curvature(torch.ones(9, 9, 3)).any()


def test_gradients_are_those_of_finite_differences_and_finite_where_nothing_curves() -> None:
    g = torch.Generator().manual_seed(0)
    normals = torch.randn(5, 6, 3, generator=g, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(curvature, (normals,))
    flat = torch.ones(5, 6, 3, requires_grad=True)
    curvature(flat).sum().backward()
    assert flat.grad is not None
    assert not flat.grad.any()


def test_erosion_takes_away_half_the_window() -> None:
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[4:17, 10:] = True
    expected = torch.zeros_like(mask)
    expected[8:13, 14:] = True
    assert torch.equal(eroded(mask, 9), expected)
