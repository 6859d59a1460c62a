"""Motions in closed form, and their derivatives, also where a singular value decomposition has none."""

from __future__ import annotations

import torch

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.sfm.flow.procrustes import procrustes


def clouds(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    points = torch.randn(14, 3, generator=random, dtype=torch.float64)
    R = rotation_matrices(torch.randn(2, 4, generator=random, dtype=torch.float64))
    t = torch.randn(2, 3, generator=random, dtype=torch.float64)
    return points, torch.tensor([0] * 6 + [1] * 8), R, t


def test_motions_are_found_group_by_group() -> None:
    points, groups, R, t = clouds()
    targets = (R[groups] @ points[..., None])[..., 0] + t[groups]
    weights = torch.rand(14, dtype=torch.float64) + 0.1
    weights[3] = 0.0
    targets[3] += 5  # not to be trusted, and not trusted
    found, shift = procrustes(points, targets, weights, groups, 2)
    torch.testing.assert_close(found, R)
    torch.testing.assert_close(shift, t)


def test_points_in_a_plane_and_mirrored_ones_give_rotations() -> None:
    points, groups, R, t = clouds()
    points[:, 2] = 0
    targets = (R[groups] @ points[..., None])[..., 0] + t[groups]
    found, _ = procrustes(points, targets, torch.ones(14, dtype=torch.float64), groups, 2)
    torch.testing.assert_close(found, R)
    mirrored, _ = procrustes(points, -points, torch.ones(14, dtype=torch.float64), groups, 2)
    torch.testing.assert_close(torch.linalg.det(mirrored), torch.ones(2, dtype=torch.float64))


def test_derivatives_are_those_of_finite_differences() -> None:
    points, groups, R, t = clouds()
    targets = (R[groups] @ points[..., None])[..., 0] + t[groups]
    targets = targets + 0.1 * torch.randn(14, 3, generator=torch.Generator().manual_seed(1)).double()
    inputs = [points[:6].requires_grad_(), targets[:6].requires_grad_()]
    weights = (torch.rand(6, dtype=torch.float64) + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p, q, w: procrustes(p, q, w, groups[:6], 1), (*inputs, weights), atol=1e-6
    )


def test_derivatives_are_finite_where_singular_values_are_the_same() -> None:
    corners = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    for points in (corners, torch.zeros(6, 3).double()):
        points = points.clone().requires_grad_()
        found, shift = procrustes(
            points, corners, torch.ones(6, dtype=torch.float64), torch.zeros(6, dtype=torch.int64), 1
        )
        (found.sum() + shift.sum()).backward()
        assert points.grad is not None
        assert bool(points.grad.isfinite().all())
