"""Errors of poses: what they measure, and that another frame is none."""

from __future__ import annotations

import math

import pytest
import torch

from gsplat_core import se3
from gsplat_core.pose_metrics import (
    absolute_trajectory_error,
    aligned,
    centers_of,
    pose_errors,
    rotation_error_degrees,
)
from gsplat_core.scene.similarity import Similarity


def cameras(count: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return se3.exp(torch.randn(count, 6, generator=generator, dtype=torch.float64))


def moved(viewmats: torch.Tensor, similarity: Similarity) -> torch.Tensor:
    """The cameras of a scene that a similarity moved, still rigid."""
    world_to_old = similarity.inverse().matrix()
    matrices = viewmats @ world_to_old
    matrices[:, :3] *= similarity.scale
    return matrices


TURN = se3.exp(torch.tensor([1.0, -2, 0.5, 0, 0, 0], dtype=torch.float64))[:3, :3]
SIMILARITY = Similarity(TURN, torch.tensor([3.0, 1, -2]), 2.5)


@pytest.mark.parametrize("degrees", [0.0, 1e-4, 1.0, 90.0, 180.0])
def test_angles_small_and_large(degrees):
    turn = se3.exp(torch.tensor([0, math.radians(degrees), 0, 0, 0, 0], dtype=torch.float64))
    rotation = cameras()[:, :3, :3]
    angles = rotation_error_degrees(turn[:3, :3] @ rotation, rotation)
    torch.testing.assert_close(angles, torch.full((7,), degrees, dtype=torch.float64), atol=1e-6, rtol=1e-6)


def test_a_turned_camera_stands_where_it_stood():
    truth = cameras()
    turned = se3.exp(torch.tensor([0.1, 0.2, -0.1, 0, 0, 0], dtype=torch.float64)) @ truth
    errors = pose_errors(turned, truth)
    assert float(errors.distances.max()) < 1e-12
    assert float(errors.degrees.min()) > 10


def test_another_frame_is_no_error():
    truth = cameras()
    found = moved(truth, SIMILARITY)
    assert pose_errors(found, truth).trajectory_error > 1
    errors = pose_errors(aligned(found, truth), truth)
    assert float(errors.degrees.max()) < 1e-5
    assert float(errors.distances.max()) < 1e-9
    assert absolute_trajectory_error(found, truth) < 1e-9


def test_no_similarity_is_nearer_than_the_one_found():
    truth = cameras(20)
    generator = torch.Generator().manual_seed(1)
    noisy = centers_of(moved(truth, SIMILARITY))
    noisy = noisy + 0.1 * torch.randn(noisy.shape, generator=generator, dtype=torch.float64)
    onto = centers_of(truth)
    best = Similarity.between(noisy, onto)

    def rest(similarity: Similarity) -> float:
        return float((similarity.apply(noisy) - onto).square().sum())

    for twist in 0.01 * torch.cat([torch.eye(6), -torch.eye(6)]).double():
        motion = se3.exp(twist)
        assert rest(Similarity(motion[:3, :3], motion[:3, 3]) @ best) > rest(best)
    for factor in (0.99, 1.01):
        assert rest(Similarity(best.rotation, best.translation, factor * best.scale)) > rest(best)


def test_mirrored_points_are_turned_and_not_mirrored():
    points = centers_of(cameras())
    found = Similarity.between(points, points * torch.tensor([1.0, 1, -1]))
    assert float(torch.linalg.det(found.rotation)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.zeros(2, 3), "at least 3"),
        (torch.zeros(4, 3), "one place"),
        (torch.arange(4.0)[:, None] * torch.ones(3), "one line"),
        (torch.zeros(4, 2), "N, 3"),
    ],
)
def test_what_has_no_frame_is_refused(points, message):
    with pytest.raises(ValueError, match=message):
        Similarity.between(points, points)
