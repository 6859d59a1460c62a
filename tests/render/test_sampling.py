"""How finely cameras sample space: the largest focal length over depth of those that look there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core.render.sampling import MARGIN, finest_rates
from gsplat_core.scene.cameras import Camera

WIDTH, HEIGHT = 40, 30


def camera(focal: float, z: float = 0.0, near: float = 0.01, model: str = "pinhole") -> Camera:
    """At (0, 0, z), looking along +z."""
    viewmat = np.eye(4)
    viewmat[2, 3] = -z
    K = np.array([[focal, 0, 18.0], [0, focal, 16.0], [0, 0, 1]])
    return Camera(viewmat, K, WIDTH, HEIGHT, near=near, model=model)


def test_the_camera_with_the_largest_focal_length_per_depth_decides() -> None:
    points = torch.tensor([[0.0, 0, 4], [0, 0, 20]])
    rates = finest_rates(points, [camera(50.0), camera(120.0, z=-6.0), camera(30.0)])
    torch.testing.assert_close(rates, torch.tensor([50 / 4, 120 / 26]))


def test_what_is_behind_or_nearer_than_the_near_plane_is_not_seen() -> None:
    points = torch.tensor([[0.0, 0, -1], [0, 0, 0.4], [0, 0, 0.6]])
    rates = finest_rates(points, [camera(50.0, near=0.5)])
    torch.testing.assert_close(rates, torch.tensor([0, 0, 50 / 0.6]))


@pytest.mark.parametrize(("axis", "centre", "size"), [(0, 18.0, WIDTH), (1, 16.0, HEIGHT)])
def test_places_near_the_image_are_seen_too(axis: int, centre: float, size: int) -> None:
    reach = MARGIN * size
    pixels = torch.tensor([-reach - 5, -reach + 1, size + reach - 1, size + reach + 5])
    points = torch.zeros(4, 3)
    points[:, 2] = 10
    points[:, axis] = (pixels - centre) * 10 / 50
    assert (finest_rates(points, [camera(50.0)]) > 0).tolist() == [False, True, True, False]


def test_parallel_rays_sample_alike_at_every_depth() -> None:
    points = torch.tensor([[0.0, 0, 4], [0, 0, 20]])
    torch.testing.assert_close(finest_rates(points, [camera(5.0, model="ortho")]), torch.full((2,), 5.0))


def test_nobody_looks_at_nothing() -> None:
    assert finest_rates(torch.zeros(0, 3), [camera(50.0)]).shape == (0,)
    assert not finest_rates(torch.ones(2, 3), []).any()
