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


def test_the_lens_sees_60_degrees_from_corner_to_corner():
    x, y, _ = np.linalg.inv(LENS.K) @ [0, 0, 1]
    assert np.degrees(np.arctan(np.hypot(x, y))) == pytest.approx(30)
    corners = [np.linalg.inv(LENS.K) @ [u, v, 1] for u, v in ((0, 0), (64, 48))]
    assert corners[0][:2] == pytest.approx(-corners[1][:2])
    assert (LENS.width, LENS.height) == (64, 48)


def test_cameras_of_an_orbit_are_like_the_given_one():
    cameras = Orbit(np.zeros(3), Z, 5.0, 0.3, azimuth=0.4).cameras(4, LENS)
    assert [camera.name for camera in cameras] == [f"orbit_000{i}" for i in range(4)]
    assert all((camera.width, camera.height, camera.near) == (64, 48, 0.01) for camera in cameras)
    # The first stands at the azimuth of the orbit, in its frame, the others follow in equal steps.
    azimuths = np.unwrap([np.arctan2(camera.center[1], camera.center[0]) for camera in cameras])
    np.testing.assert_allclose(np.abs(np.diff(azimuths)), np.pi / 2)
    np.testing.assert_allclose([camera.center[2] for camera in cameras], 5 * np.sin(0.3))


def test_an_orbit_that_sways_is_an_ellipse_of_azimuth_and_elevation():
    orbit = Orbit(np.zeros(3), Z, 2.0, 0.3, azimuth=0.5, sway=0.8)
    straight = Orbit(np.zeros(3), Z, 2.0, 0.3, azimuth=0.5, sway=np.pi).cameras(1, LENS)[0].center
    zero = np.arctan2(straight[1], straight[0])
    for i, camera in enumerate(orbit.cameras(8, LENS)):
        turn = 2 * np.pi * i / 8
        assert np.arcsin(camera.center[2] / 2) == pytest.approx(0.3 + 0.2 * np.cos(turn))
        azimuth = np.arctan2(camera.center[1], camera.center[0]) - zero
        assert (abs(azimuth) + np.pi) % (2 * np.pi) - np.pi == pytest.approx(abs(0.8 * np.sin(turn)))


@pytest.mark.parametrize(("arc", "full"), [(261, True), (259, False)])
def test_seen_all_around_is_what_leaves_no_gap_of_100_degrees(arc, full):
    azimuths = np.radians(np.linspace(0, arc, 12))
    cameras = [Orbit(np.zeros(3), Z, 3.0, 0.0, azimuth=a).cameras(1, LENS)[0] for a in azimuths]
    found = orbit_of_cameras(cameras)
    assert (found.sway == np.pi) is full
    if not full:
        assert found.sway == pytest.approx(0.7 * np.radians(arc) / 2)
        middle = Orbit(np.zeros(3), Z, 3.0, found.elevation, azimuth=np.radians(arc / 2)).cameras(1, LENS)
        straight = Orbit(np.zeros(3), Z, 3.0, found.elevation, found.azimuth).cameras(1, LENS)
        np.testing.assert_allclose(straight[0].center, middle[0].center, atol=1e-6)


def test_the_orbit_of_gaussians_is_measured_by_their_median_distance():
    """Of points on a line, weighted by their opacity."""
    places = np.array([-4.0, -1.0, 0.0, 1.0, 2.0, 3.0, 9.0])
    means = torch.zeros(7, 3)
    means[:, 1] = torch.tensor(places)
    gaussians = Gaussians(
        means,
        torch.ones(7, 4),
        torch.zeros(7, 3),
        torch.tensor([0.0] * 7),
        torch.zeros(7, 1, 3),
        torch.zeros(7, 0, 3),
    )
    orbit = orbit_of_gaussians(gaussians, Z)
    np.testing.assert_allclose(orbit.center, [0, 1, 0])
    assert orbit.radius == pytest.approx(2.5 * np.median(np.abs(places - 1)))
    assert orbit.elevation == pytest.approx(np.radians(15))
    one = orbit_of_gaussians(gaussians.subset(slice(0, 1)), Z)
    assert one.radius == pytest.approx(1e-6)


@pytest.mark.parametrize("place", [0.0, 1.0, 1e6, 1e15, 1e30])
def test_cameras_look_at_gaussians_that_are_all_in_one_place(place: float) -> None:
    gaussians = Gaussians(
        torch.full((3, 3), place),
        torch.ones(3, 4),
        torch.zeros(3, 3),
        torch.zeros(3),
        torch.zeros(3, 1, 3),
        torch.zeros(3, 0, 3),
    )
    for camera in orbit_of_gaussians(gaussians, Z).cameras(3, LENS):
        x, y, z = camera.viewmat[:3, :3] @ gaussians.means[0].double().numpy() + camera.viewmat[:3, 3]
        assert z > 0
        assert max(abs(x), abs(y)) < 0.01 * z


def test_looking_along_up_any_side_may_be_right():
    viewmat = look_at(np.zeros(3), np.array([0.0, 0.0, 5.0]), Z)
    np.testing.assert_allclose(viewmat[:3, :3] @ viewmat[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(viewmat[2, :3], Z, atol=1e-12)
