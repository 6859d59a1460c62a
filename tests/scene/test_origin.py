"""Where the origin is put, and what moving it keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from splat_files import typical_scene

from gsplat_core.scene.origin import FAR_AWAY, far_offset
from gsplat_core.scene.original_coordinates import original_positions, rounding, with_origin_at

RING = np.array([[np.cos(a), 0.1 * np.sin(3 * a), np.sin(a)] for a in np.arange(12) * np.pi / 6])
NONE = np.zeros((0, 3))


def test_a_scene_around_the_origin_stays() -> None:
    assert far_offset(5 * RING, NONE).tolist() == [0, 0, 0]
    assert far_offset(RING + np.array([FAR_AWAY - 5, 0, 0]), NONE).tolist() == [0, 0, 0]


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_far_is_relative_to_what_is_seen(unit: float) -> None:
    place = np.array([448262.37, 5411932.11, 143.5]) * unit
    offset = far_offset(3 * unit * RING + place, NONE)
    assert np.abs(offset - place).max() <= 2 * unit
    np.testing.assert_allclose(offset, [float(f"{value:.12g}") for value in offset], rtol=0)  # can be typed
    assert far_offset(10 * unit * RING + np.array([5000 * unit, 0, 0]), NONE)[0] == pytest.approx(5000 * unit)
    # Cameras close together that look at something large: their distance alone does not decide.
    assert not far_offset(0.01 * unit * RING + [3 * unit, 0, 0], 5 * unit * RING).any()


def test_one_outlier_changes_nothing() -> None:
    centers = 3 * RING + np.array([5e5, 5e6, 100])
    expected = far_offset(centers, NONE)
    centers[3] = 1e14
    assert far_offset(centers, NONE) == pytest.approx(expected, abs=1)
    near = 3 * RING
    near[0] = 1e9
    assert not far_offset(near, NONE).any()


def test_cameras_at_one_place_without_points_stay() -> None:
    assert not far_offset(np.full((4, 3), 7.0), NONE).any()
    assert far_offset(np.full((4, 3), 5e6), RING + 5e6).tolist() == [5e6] * 3


def test_moving_the_origin_and_back() -> None:
    scene = typical_scene(50).with_metadata(offset=(448262.0, 5411932.0, 143.0))
    np.testing.assert_allclose(
        original_positions(scene) - [448262.0, 5411932.0, 143.0], scene.means.double(), atol=1e-9
    )
    nearer = with_origin_at(scene, (448260.0, 5411930.0, 140.0))
    torch.testing.assert_close(nearer.means - torch.tensor([2.0, 2.0, 3.0]), scene.means)
    torch.testing.assert_close(with_origin_at(nearer, scene.metadata.offset).means, scene.means)
    step, share = rounding(scene)
    assert step == 0.25  # numbers from 2^22 to 2^23 are half a unit apart
    moved = with_origin_at(scene, (0.0, 0.0, 0.0))
    error = np.abs(moved.means.double().numpy() - original_positions(scene)).max()
    assert 0.2 < error <= step
    assert share == pytest.approx(step / float(scene.scales.amax(1).exp().median()))
