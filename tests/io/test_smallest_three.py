"""Rotations as their three smallest components: which one is left out, the others in order, and back."""

from __future__ import annotations

import numpy as np
import pytest

from gsplat_core.io.smallest_three import join, split


def quaternions(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(200, 4)).astype(np.float32)


@pytest.mark.parametrize("length", [1e-15, 1.0, 1e15])
def test_the_largest_is_left_out_and_the_others_keep_their_order(length: float) -> None:
    quats = quaternions(0)
    largest, three = split(quats * np.float32(length))
    unit = quats / np.linalg.norm(quats, axis=1, keepdims=True)
    unit *= np.sign(unit[np.arange(len(unit)), largest])[:, None]
    assert (largest == np.abs(quats).argmax(axis=1)).all()
    for i in range(len(quats)):
        np.testing.assert_allclose(three[:, i], np.delete(unit[i], largest[i]), atol=1e-6)
    np.testing.assert_allclose(join(largest, three), unit, atol=1e-6)


@pytest.mark.parametrize("place", range(4))
def test_turns_about_an_axis_and_none_are_exact(place: int) -> None:
    quats = np.zeros((1, 4), np.float32)
    quats[0, place] = -2.0
    largest, three = split(quats)
    assert largest.tolist() == [place]
    assert np.abs(three).max() == 0
    assert join(largest, three)[0].tolist() == [float(i == place) for i in range(4)]


def test_of_equal_components_the_first_is_left_out() -> None:
    largest, _ = split(np.array([[1, -1, 1, 1], [0.5, 1, 1, -1], [0, 0.5, 1, 1]], np.float32))
    assert largest.tolist() == [0, 1, 2]


def test_components_that_rounding_made_too_large_leave_nothing_for_the_largest() -> None:
    back = join(np.array([1], np.uint8), np.array([[0.6], [0.6], [0.6]], np.float32))
    np.testing.assert_allclose(back, [[0.6, 0.0, 0.6, 0.6]])
