"""Poses are found from wrong ones, with the accuracy that is told, and what is not found is not claimed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from apps.balls import ball, moved
from torch import Tensor

from gsplat_core import se3
from gsplat_core.apps.localize import Config, Located, localize, refine
from gsplat_core.apps.localize_starts import _lifted, from_matches, nearest
from gsplat_core.errors import UsageError
from gsplat_core.pose_metrics import pose_errors
from gsplat_core.render.scene import render
from gsplat_core.render.settings import USUAL
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.optics import optics_of
from gsplat_core.second_order.poses import PosePrior

QUICK = Config(steps=60, starts=5, start_steps=10, small=40)


def errors(found: Located | Tensor, camera: Camera) -> tuple[float, float]:
    viewmat = found.viewmat if isinstance(found, Located) else found
    both = pose_errors(viewmat[None], torch.from_numpy(camera.viewmat)[None])
    return float(both.degrees[0]), float(both.distances[0])


@pytest.fixture(scope="module")
def case() -> tuple:
    return ball(0)


def test_a_pose_is_found_from_one_that_is_wrong() -> None:
    scene, image, camera = ball(2)
    found = localize(scene, image, moved(camera, 20, 0.3, 2), config=QUICK)
    assert found.converged, found.problem
    degrees, distance = errors(found, camera)
    assert degrees < 0.05
    assert distance < 0.002
    assert found.lm_steps <= 20
    assert len(found.costs) == QUICK.steps + 1 + found.lm_steps
    assert found.costs[-1] < 0.01 * found.costs[QUICK.steps + 1]


def test_a_scene_may_be_other_gaussians_for_each_camera() -> None:
    scene, image, camera = ball(2)
    start = moved(camera, 5, 0.1, 2)
    of_plain, of_others = (
        localize(some, image, start, config=QUICK) for some in (scene, scene.with_primitive("6dgs"))
    )
    assert of_others.converged, of_others.problem
    assert torch.allclose(of_others.viewmat, of_plain.viewmat, atol=1e-4)


def test_exposure_and_masked_pixels_do_not_matter(case: tuple) -> None:
    scene, image, camera = case
    dark, mask = 0.6 * image + 0.1, torch.ones(image.shape[:2], dtype=torch.bool)
    dark[:14], mask[:14] = 1.0, False
    found = refine(scene, dark, moved(camera, 2, 0.03), QUICK, mask=mask)
    assert found.converged, found.problem
    degrees, distance = errors(found, camera)
    assert degrees < 0.05
    assert distance < 0.002
    assert found.exposure.gain == pytest.approx(0.6, abs=1e-3)
    assert found.exposure.offset == pytest.approx(0.1, abs=1e-3)


def test_errors_are_as_large_as_they_are_said_to_be(case: tuple) -> None:
    """Of photographs with noise, independent and in patches; the mean of squares in the metric of the
    covariance is the number of unknowns."""
    scene, image, camera = case
    for patch, sigma in ((1, 0.05), (4, 0.03)):
        squares = []
        for seed in range(4):
            g = torch.Generator().manual_seed(seed)
            noise = sigma * torch.randn(1, 3, *(n // patch + 1 for n in image.shape[:2]), generator=g)
            noise = torch.nn.functional.interpolate(noise, scale_factor=patch)[0].movedim(0, -1)
            noisy = image + noise[: image.shape[0], : image.shape[1]]
            found = refine(scene, noisy, camera, QUICK)
            twist = se3.log(found.viewmat @ torch.linalg.inv(torch.from_numpy(camera.viewmat)))
            squares.append(float(twist @ torch.linalg.solve(found.covariance, twist)) / 6)
            assert 0 < found.rotation_sd < 2
            assert 0 < found.position_sd < 0.1
        assert 0.15 < np.median(squares) < 6, patch


def test_what_was_known_before_is_kept_to(case: tuple) -> None:
    scene, image, camera = case
    noisy = image + 0.1 * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    free = refine(scene, noisy, camera, QUICK)
    off = moved(camera, 1, 0.02)
    for information, nearer in ((1e-6, free.viewmat), (1e12, torch.from_numpy(off.viewmat))):
        prior = PosePrior(torch.from_numpy(off.viewmat), information * torch.eye(6))
        found = refine(scene, noisy, camera, QUICK, prior=prior)
        assert torch.allclose(found.viewmat, nearer, atol=1e-4)


def test_a_photograph_of_something_else_is_not_found(case: tuple) -> None:
    scene, image, camera = case
    other = torch.rand(image.shape, generator=torch.Generator().manual_seed(9))
    found = localize(scene, other, camera, config=replace(QUICK, steps=10, start_steps=2))
    assert not found.converged
    assert "variance" in found.problem
    away = replace(camera, viewmat=(se3.exp(torch.tensor([0, math.pi, 0, 0, 0, 0])).numpy() @ camera.viewmat))
    lost = localize(scene, image, away, config=replace(QUICK, cone=0.0))
    assert "not seen" in lost.problem
    assert "too little" in refine(scene, image, away, QUICK).problem


def test_two_poses_that_look_alike_are_not_told_apart() -> None:
    """A scene that is its own mirror image when it is turned by half a circle about the viewing axis."""
    scene, _, camera = ball(3)
    turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    axes = torch.from_numpy(camera.viewmat[:3, :3]).float()
    twin = scene.cloned()
    twin.means[:] = scene.means @ (axes.T @ turn @ axes).T
    half = torch.zeros(6, dtype=torch.float64)
    half[2] = math.pi
    both = type(scene).merge([scene, twin])
    both.scales[:] = both.scales.mean(dim=1, keepdim=True).expand(-1, 3)
    image = render(both, camera).colors[0]
    starts = [camera.viewmat, se3.exp(half).numpy() @ camera.viewmat]
    found = localize(both, image, camera, starts, replace(QUICK, steps=20, start_steps=3, rate=0.01))
    assert "another pose" in found.problem


def test_of_many_cameras_those_that_see_the_same_are_chosen(case: tuple) -> None:
    scene, image, camera = case
    poses = [moved(camera, degrees, 0.0, 4).viewmat for degrees in (20, 3, 90, 8)]
    found = nearest(scene, 0.5 * image + 0.2, camera, poses, 3)
    for pose, expected in zip(found, (1, 3, 0), strict=True):
        assert pose is poses[expected]


@pytest.mark.parametrize("lifted", [True, False])
def test_correspondences_give_a_start(case: tuple, lifted: bool) -> None:
    scene, _, camera = case
    start = moved(camera, 12, 0.2)
    g = np.random.default_rng(0)
    pixels = g.uniform(8, camera.width - 8, size=(80, 2))
    points = _lifted(scene, start, pixels, USUAL)
    seen = optics_of(camera).pixels(points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3])
    known = np.isfinite(seen).all(axis=1)
    assert known.sum() > 30
    seen[:20] = g.uniform(0, camera.width, size=(20, 2))  # wrong ones
    rows = np.column_stack([seen, pixels] if lifted else [seen, points])
    matched = from_matches(scene, start, rows[known])
    assert matched is not None
    assert max(errors(torch.from_numpy(matched.viewmat), camera)) < 1e-4
    assert matched.matches == known.sum()
    assert matched.agreeing == known[20:].sum()
    assert from_matches(scene, start, rows[known][:2]) is None


def test_settings_out_of_range_and_images_of_another_size_are_refused(case: tuple) -> None:
    scene, image, camera = case
    with pytest.raises(UsageError, match="blur"):
        Config(blur=-1)
    for wrong in ({"image": image[1:]}, {"image": image, "mask": torch.ones(3, 3, dtype=torch.bool)}):
        with pytest.raises(ValueError, match="has the size"):
            localize(scene, camera=camera, **wrong)
