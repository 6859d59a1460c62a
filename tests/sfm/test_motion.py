"""How far pictures have moved, by blocks."""

from __future__ import annotations

import numpy as np
import pytest

from gsplat_core.sfm.motion import BLOCK, Spectra


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    """[H, W] of blobs of several pixels."""
    coarse = np.random.default_rng(0).uniform(0, 255, (60, 120))
    fine = np.kron(coarse, np.ones((4, 4)))
    return (fine + np.roll(fine, 2, 0) + np.roll(fine, 2, 1)) / 3


def cut(wide: np.ndarray, down: int, right: int) -> np.ndarray:
    return wide[40 + down : 130 + down, 40 + right : 200 + right]


@pytest.mark.parametrize("shift", [(0, 0), (3, 0), (0, -7), (6, 8), (-12, 0)])
def test_the_shift_of_a_picture(wide: np.ndarray, shift: tuple[int, int]) -> None:
    moved = Spectra(cut(wide, 0, 0)).moved(Spectra(cut(wide, *shift)))
    assert moved == pytest.approx(np.hypot(*shift), abs=0.5)


def test_what_moves_in_front_of_a_camera_that_stands_still_does_not_count(wide: np.ndarray) -> None:
    before, after = cut(wide, 0, 0).copy(), cut(wide, 0, 0).copy()
    after[:60, :60] = cut(wide, 5, 9)[:60, :60]
    assert Spectra(before).moved(Spectra(after)) == 0


def test_nothing_moves_where_nothing_is_seen() -> None:
    grey = np.full((90, 160), 80.0)
    assert Spectra(grey).moved(Spectra(grey)) == 0
    assert Spectra(np.zeros((BLOCK, BLOCK))).moved(Spectra(np.zeros((BLOCK, BLOCK)))) == 0


def test_approaching_is_motion_too(wide: np.ndarray) -> None:
    rows = np.linspace(46, 124, 90).astype(int)
    columns = np.linspace(50, 190, 160).astype(int)
    assert Spectra(cut(wide, 0, 0)).moved(Spectra(wide[np.ix_(rows, columns)])) >= 2
