"""Measured depths find the pose of a camera in a map, and their gradient tells where the cost falls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from map_room import room, walk
from torch import Tensor

from gsplat_core import se3
from gsplat_core.mapping.surface import Surface, surface_equations
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.scene.cameras import Camera
from gsplat_core.second_order.poses import Equations

TWIST = torch.tensor([0.02, -0.015, 0.01, 0.02, -0.01, 0.015], dtype=torch.float64)


@pytest.fixture(scope="module")
def scene():
    return room(3000)


@pytest.fixture(scope="module")
def camera() -> Camera:
    K = np.array([[56.0, 0, 40], [0, 56, 30], [0, 0, 1]])
    return Camera(walk(60)[3].numpy(), K, 80, 60)


@pytest.fixture(scope="module")
def depth(scene, camera: Camera) -> Tensor:
    with torch.no_grad():
        return render(scene, camera, outputs=Outputs(colors=False, depth="expected")).depths[0]


def test_a_pose_is_found_by_depths_alone(scene, camera: Camera, depth: Tensor) -> None:
    surface, truth = Surface.of(depth, camera), torch.from_numpy(camera.viewmat)
    pose = se3.exp(TWIST) @ truth
    for _ in range(5):
        found = surface_equations(scene, surface, replace(camera, viewmat=pose.numpy()), 0.05, 0.9)
        pose = se3.exp(-torch.linalg.solve(found.JtJ, found.Jtr)) @ pose
    left = se3.log(pose @ torch.linalg.inv(truth))
    assert float(left.abs().max()) < 0.05 * float(TWIST.abs().max())


def test_the_gradient_tells_where_the_cost_falls(scene, camera: Camera, depth: Tensor) -> None:
    """Of a shift, to a tenth. A turn also changes which points of the map are seen at a pixel, as the point
    to plane distance takes no account of: there the direction has to be right."""
    surface = Surface.of(depth, camera)

    def at(twist: Tensor) -> Equations:
        pose = se3.exp(twist) @ torch.from_numpy(camera.viewmat)
        return surface_equations(scene, surface, replace(camera, viewmat=pose.numpy()), 0.05, 0.9)

    gradient = at(TWIST).Jtr
    for axis, step in enumerate(0.01 * torch.eye(6, dtype=torch.float64)):
        change = (at(TWIST + step).cost - at(TWIST - step).cost) / 0.02
        assert change * float(gradient[axis]) > 0
        if axis in (3, 5):
            assert change == pytest.approx(float(gradient[axis]), rel=0.1)


def test_depths_that_are_not_known_say_nothing(scene, camera: Camera, depth: Tensor) -> None:
    for unknown in (0.0, -1.0, torch.nan, torch.inf):
        surface = Surface.of(torch.full_like(depth, unknown), camera)
        found = surface_equations(scene, surface, camera, 0.05, 0.9)
        assert found.cost == 0
        assert not found.JtJ.any()
        assert not found.Jtr.any()
