"""The scale of a scene is that of what is seen: not of how the cameras stand, nor of the units."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gsplat_core.scene.cameras import Camera, rigid
from gsplat_core.scene.scale import focus, points_in_view, scene_scale

K = np.array([[100.0, 0, 50], [0, 100, 40], [0, 0, 1]])


def looking_at_origin(position: np.ndarray, name: str = "") -> Camera:
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0.0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return Camera(rigid(rotation, -rotation @ position), K, 100, 80, name)


def arc(count: int, angle: float, radius: float = 3.0) -> list[Camera]:
    turns = np.linspace(0, angle, count, endpoint=False)
    return [looking_at_origin(radius * np.array([math.cos(t), math.sin(t), 0.2])) for t in turns]


def cloud(size: float = 0.5, count: int = 500) -> np.ndarray:
    return np.random.default_rng(0).uniform(-size, size, (count, 3))


DEPTH = 3.0 * math.hypot(1, 0.2)


@pytest.mark.parametrize("angle", [2 * math.pi, 0.5, 0.02], ids=["all around", "an arc", "a small baseline"])
def test_it_is_the_depth_of_what_is_seen_wherever_the_cameras_stand(angle: float) -> None:
    scale = scene_scale(arc(16, angle), cloud())
    assert scale.length == pytest.approx(1.2 * DEPTH, rel=0.1)
    assert scale.outliers == ()


def test_all_around_it_is_about_the_published_extent() -> None:
    scale = scene_scale(arc(16, 2 * math.pi), cloud())
    assert scale.length == pytest.approx(scale.published, rel=0.15)


def test_a_misplaced_camera_is_named_and_changes_nothing_else() -> None:
    cameras, xyz = arc(12, 2 * math.pi), cloud()
    far = looking_at_origin(np.array([3e4, 10.0, 0]))
    scale, with_it = scene_scale(cameras, xyz), scene_scale([*cameras[:5], far, *cameras[5:]], xyz)
    assert with_it.outliers == (5,)
    assert with_it.length == pytest.approx(scale.length, rel=0.05)
    places = torch.tensor([[0.0, 0, 0], [100, 0, 0], [0, -2000, 0]])
    torch.testing.assert_close(with_it.reach(places), scale.reach(places), rtol=0.05, atol=0)
    assert with_it.published > 100 * scale.published


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_it_follows_the_units(unit: float) -> None:
    cameras, xyz = arc(9, 1.0), cloud()
    resized = []
    for camera in cameras:
        viewmat = camera.viewmat.copy()
        viewmat[:3, 3] *= unit
        resized.append(Camera(viewmat, K, 100, 80))
    here, there = scene_scale(cameras, xyz), scene_scale(resized, unit * xyz)
    for name in ("length", "published", "radius"):
        assert getattr(there, name) == pytest.approx(unit * getattr(here, name))


def test_views_tell_which_points_they_see() -> None:
    cameras, near, behind = arc(6, 1.0), cloud(), cloud() - np.array([40.0, 0, 0])
    rows = [np.arange(len(near))] * len(cameras)
    told = scene_scale(cameras, np.concatenate([near, behind, behind, behind]), rows)
    assert told.length == pytest.approx(1.2 * DEPTH, rel=0.1)


def test_without_points_it_is_how_far_away_the_cameras_look() -> None:
    assert scene_scale(arc(8, 2.0), np.zeros((0, 3))).length == pytest.approx(1.2 * DEPTH)


def test_without_points_parallel_axes_leave_a_guess() -> None:
    cameras = [Camera(rigid(np.eye(3), np.array([0.1 * i, 0, 0])), K, 100, 80) for i in range(5)]
    assert scene_scale(cameras, np.zeros((0, 3))).length == pytest.approx(1.2 * 10 * 0.1)
    assert scene_scale([cameras[0]] * 3, np.zeros((0, 3))).length > 0


def test_reach_is_the_distance_from_the_cameras_and_never_less_than_the_length() -> None:
    scale = scene_scale(arc(16, 2 * math.pi), cloud())
    near, far = scale.reach(torch.tensor([[0.0, 0, 0], [0, 1000, 0]]))
    assert near == pytest.approx(scale.length)
    assert far == pytest.approx(1000 - scale.radius, rel=1e-3)


def test_axes_meet_in_the_focus() -> None:
    cameras = arc(5, 1.0)
    centers = np.stack([camera.center for camera in cameras])
    axes = np.stack([camera.viewmat[2, :3] for camera in cameras])
    np.testing.assert_allclose(focus(centers, axes), 0, atol=1e-9)


def test_points_in_view_are_those_that_fall_into_the_image() -> None:
    camera = Camera(np.eye(4), K, 100, 80)
    xyz = np.array([[0.0, 0, 2], [0, 0, -2], [2, 0, 2], [0.5, -0.4, 1]])
    rows, pixels, depths = points_in_view(camera, xyz)
    assert rows.tolist() == [0]
    np.testing.assert_allclose(pixels, [[50, 40]])
    assert depths.tolist() == [2]
