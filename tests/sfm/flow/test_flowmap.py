"""Poses, focal length and depths from exact flow; what cannot be found is told."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from sfm.flow.moving_camera import MovingCamera, moving_camera

from gsplat_core.pose_metrics import absolute_trajectory_error, centers_of
from gsplat_core.sfm.flow.flowmap import FlowMap, FlowMapConfig, find_flowmap
from gsplat_core.sfm.flow.followed import matches_of
from gsplat_core.sfm.flow.matches import Matches
from gsplat_core.sfm.flow.parallax import LEAST, parallax

FRAMES, HEIGHT, WIDTH, FOCAL = 12, 48, 64, 0.9


@functools.cache
def solved() -> tuple[MovingCamera, Matches, FlowMap]:
    """With fewer matches and steps than usual."""
    truth = moving_camera(FRAMES, HEIGHT, WIDTH, FOCAL)
    matches = matches_of(truth.flows).at_most(4000)
    return truth, matches, find_flowmap(matches, FRAMES, WIDTH, HEIGHT, 16, FlowMapConfig(steps=300))


def relative_error(found: torch.Tensor, truth: torch.Tensor) -> float:
    centers = centers_of(truth)
    spread = float((centers - centers.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    return absolute_trajectory_error(found, truth) / spread


def test_exact_flow_tells_poses_focal_length_and_depths() -> None:
    truth, _, found = solved()
    assert relative_error(found.viewmats, truth.viewmats) <= 0.03
    assert found.focal == pytest.approx(FOCAL, rel=0.08)
    x, y = torch.meshgrid(
        (torch.arange(WIDTH) + 0.5) / WIDTH, (torch.arange(HEIGHT) + 0.5) / HEIGHT, indexing="xy"
    )
    places = torch.stack([x, y], dim=-1).reshape(-1, 2)
    depths = found.depths(torch.arange(FRAMES).repeat_interleave(len(places)), places.repeat(FRAMES, 1))
    both = torch.stack([depths.double().log(), truth.depths.flatten().log()])
    assert float(torch.corrcoef(both)[0, 1]) >= 0.97


def test_a_known_focal_length_stays() -> None:
    truth, matches, _ = solved()
    unit = math.sqrt(WIDTH * HEIGHT)
    found = find_flowmap(matches, FRAMES, WIDTH, HEIGHT, 8, FlowMapConfig(steps=3), focal=FOCAL * unit)
    assert found.focal == pytest.approx(FOCAL)
    assert len(found.viewmats) == len(truth.viewmats)


def test_the_same_matches_give_the_same() -> None:
    _, matches, _ = solved()
    first, second = (
        find_flowmap(matches, FRAMES, WIDTH, HEIGHT, 16, FlowMapConfig(steps=4)) for _ in range(2)
    )
    torch.testing.assert_close(first.viewmats, second.viewmats)
    torch.testing.assert_close(first.logarithms, second.logarithms)


def test_frames_that_nothing_joins_are_refused() -> None:
    _, matches, _ = solved()
    apart = matches.subset((matches.frames[:, 1] <= 2) | (matches.frames[:, 0] >= 3))
    with pytest.raises(ValueError, match="join 3 of 12 frames"):
        find_flowmap(apart, FRAMES, WIDTH, HEIGHT, 8)


def test_a_camera_that_only_turns_shows_no_parallax() -> None:
    _, matches, _ = solved()
    turned = matches_of(moving_camera(4, HEIGHT, WIDTH, FOCAL, turning_only=True).flows)
    assert parallax(turned.at_most(3000), WIDTH, HEIGHT) < LEAST / 5
    assert parallax(matches.at_most(3000), WIDTH, HEIGHT) > 3 * LEAST
