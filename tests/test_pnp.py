"""Poses from points: three of them exactly, many of them among wrong ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core import se3
from gsplat_core.pnp import FEWEST, solve_pnp, three_points


def case(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pose, points in the world, and where they are for the camera."""
    random = np.random.default_rng(seed)
    viewmat = se3.exp(torch.from_numpy(random.normal(size=6))).numpy()
    viewmat[2, 3] += 5
    points = random.normal(size=(count, 3))
    return viewmat, points, points @ viewmat[:3, :3].T + viewmat[:3, 3]


def test_three_points_leave_few_poses_of_which_one_is_right() -> None:
    for seed in range(20):
        viewmat, points, seen = case(seed, 3)
        rays = seen / np.linalg.norm(seen, axis=1, keepdims=True)
        found = three_points(rays, points)
        assert 1 <= len(found) <= 4
        assert min(np.abs(candidate - viewmat).max() for candidate in found) < 1e-6


def test_points_in_one_place_have_no_pose() -> None:
    _, points, seen = case(0, 3)
    assert three_points(seen, np.repeat(points[:1], 3, axis=0)) == []


def test_wrong_pairs_are_left_out() -> None:
    random = np.random.default_rng(5)
    viewmat, points, seen = case(1, 60)
    wrong = random.random(60) < 0.4
    rays = np.where(wrong[:, None], random.normal(size=(60, 3)), 3.0 * seen)
    found = solve_pnp(rays, points, 1e-4)
    assert found is not None
    assert np.abs(found.viewmat - viewmat).max() < 1e-9
    assert not (found.inliers & wrong).any()
    assert found.inliers.sum() == (~wrong).sum()


def test_small_errors_average_out() -> None:
    viewmat, points, seen = case(2, 200)
    random = np.random.default_rng(6)
    rays = seen / np.linalg.norm(seen, axis=1, keepdims=True) + 1e-3 * random.normal(size=(200, 3))
    found = solve_pnp(rays, points, 5e-3, rounds=50)
    assert found is not None
    assert np.abs(found.viewmat - viewmat).max() < 2e-3


@pytest.mark.parametrize("count", [FEWEST - 1, 8])
def test_there_is_none_where_nothing_agrees(count: int) -> None:
    random = np.random.default_rng(7)
    rays, points = random.normal(size=(count, 3)), random.normal(size=(count, 3))
    assert solve_pnp(rays, points, 1e-9, rounds=20) is None
