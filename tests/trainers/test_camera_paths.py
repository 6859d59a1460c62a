from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Orbit, default_lens, look_at, orbit_of_cameras, orbit_of_gaussians

Z = np.array([0.0, 0.0, 1.0])
LENS = default_lens(64, 48)


def project(camera, point):
    x, y, z = camera.K @ (camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3])
    return x / z, y / z, z


@pytest.mark.parametrize("target", [(0, 0, 0), (1, 2, 3), (0.5, 0, 2)])
@pytest.mark.parametrize("position", [(4, 0, 1), (0.5, 0, 9), (-3, 2, -5)])
def test_look_at_is_rigid_and_puts_the_target_in_front_and_up_upwards(position, target):
    position, target = np.array(position, float), np.array(target, float)
    viewmat = look_at(position, target, Z)
    rotation = viewmat[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(viewmat @ np.append(position, 1), [0, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(
        viewmat @ np.append(target, 1), [0, 0, np.linalg.norm(target - position), 1], atol=1e-9
    )
    assert (rotation @ Z)[1] <= 1e-9  # y points down


def test_a_full_orbit_keeps_its_distance_and_is_closed():
    orbit = Orbit(center=np.array([1.0, 2.0, 3.0]), up=Z, radius=5.0, elevation=0.3)
    cameras = orbit.cameras(36, LENS)
    for camera in cameras:
        assert np.linalg.norm(camera.center - orbit.center) == pytest.approx(5)
        assert project(camera, orbit.center)[:2] == pytest.approx((32, 24))
    steps = [np.linalg.norm(cameras[i].center - cameras[i - 1].center) for i in range(36)]
    np.testing.assert_allclose(steps, steps[0])


def test_the_orbit_of_cameras_all_around_is_theirs():
    given = Orbit(center=np.array([1.0, -2.0, 0.5]), up=Z, radius=3.0, elevation=0.5)
    found = orbit_of_cameras(given.cameras(12, LENS))
    np.testing.assert_allclose(found.center, given.center, atol=1e-9)
    np.testing.assert_allclose(found.up, Z, atol=1e-9)
    assert found.radius == pytest.approx(3)
    assert found.elevation == pytest.approx(0.5)
    assert found.sway == np.pi


@pytest.mark.parametrize("azimuth", [-3.0, 0.0, 2.0])
def test_an_orbit_stays_within_the_azimuths_that_the_cameras_cover(azimuth):
    seen = Orbit(center=np.zeros(3), up=Z, radius=3.0, elevation=0.2, azimuth=azimuth, sway=0.6)
    found = orbit_of_cameras(seen.cameras(20, LENS))
    middle = np.mean([camera.center[:2] for camera in seen.cameras(20, LENS)], axis=0)
    for camera in found.cameras(40, LENS):
        x, y = camera.center[:2]
        away = np.arctan2(middle[0] * y - middle[1] * x, middle @ (x, y))
        assert abs(away) < 0.6


def test_parallel_cameras_make_a_finite_orbit():
    cameras = [Orbit(np.zeros(3), Z, 3.0, 0.0).cameras(1, LENS)[0]] * 3
    assert np.isfinite(orbit_of_cameras(cameras).cameras(4, LENS)[0].viewmat).all()


def test_the_orbit_of_gaussians_does_not_mind_strays_and_faint_ones():
    random = np.random.default_rng(0)
    bulk = random.normal(size=(500, 3)) + np.array([5, 0, 0])
    strays = random.normal(size=(50, 3)) * 1e4
    faint = random.normal(size=(2000, 3)) - np.array([90, 0, 0])
    gaussians = Gaussians(
        means=torch.tensor(np.concatenate([bulk, strays, faint]), dtype=torch.float32),
        quats=torch.ones(2550, 4),
        scales=torch.zeros(2550, 3),
        opacities=torch.cat([torch.full((550,), 3.0), torch.full((2000,), -9.0)]),
        sh0=torch.zeros(2550, 1, 3),
        shN=torch.zeros(2550, 0, 3),
    )
    orbit = orbit_of_gaussians(gaussians, np.array([0.0, -2.0, 0.0]))
    np.testing.assert_allclose(orbit.center, [5, 0, 0], atol=0.3)
    assert 2 < orbit.radius < 8
    np.testing.assert_allclose(orbit.up, [0, -1, 0])
