"""The motions of the example: what is lowest stays, and each does what its name says."""

from __future__ import annotations

import sys
from pathlib import Path

import bend_mesh
import numpy as np
import pytest

from gsplat_core.mesh import Mesh, save_mesh

COLUMN = np.array(
    [[x, y, z] for z in np.linspace(0, 2, 201) for x in (-0.2, 0.2) for y in (-0.2, 0.2)], dtype=np.float64
)


@pytest.mark.parametrize("up", bend_mesh.UP)
@pytest.mark.parametrize("motion", bend_mesh.MOTIONS)
def test_motions_are_the_same_along_every_axis_and_keep_the_lowest(motion: str, up: str) -> None:
    axis = np.array(bend_mesh.UP[up], dtype=np.float64)
    east = np.roll(axis, 1)
    frame = np.stack([east, np.cross(axis, east), axis])
    moved = bend_mesh.moved(COLUMN @ frame, motion, axis, 0.8) @ frame.T
    assert moved == pytest.approx(bend_mesh.moved(COLUMN, motion, np.array([0, 0, 1.0]), 0.8))
    assert moved[:8] == pytest.approx(COLUMN[:8], abs=1e-9)
    assert np.abs(moved - COLUMN).max() > 0.1
    assert bend_mesh.moved(COLUMN, motion, np.array([0, 0, 1.0]), 0.0) == pytest.approx(COLUMN)


def test_a_twist_turns_and_a_bend_leans_and_keeps_lengths() -> None:
    up = np.array([0, 0, 1.0])
    twisted = bend_mesh.moved(COLUMN, "twist", up, np.pi / 2)
    assert twisted[-4:, :2] == pytest.approx(np.stack([-COLUMN[-4:, 1], COLUMN[-4:, 0]], 1))
    assert twisted[:, 2] == pytest.approx(COLUMN[:, 2])
    bent = bend_mesh.moved(COLUMN, "bend", up, np.pi / 2)
    middle = bent.reshape(-1, 4, 3).mean(axis=1)
    lengths = np.linalg.norm(np.diff(middle, axis=0), axis=1)
    assert lengths == pytest.approx(np.full(200, 0.01), rel=1e-3)
    assert middle[-1, 0] == pytest.approx(2 * 2 / np.pi, rel=0.03)


def test_a_sequence_starts_at_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vertices = COLUMN[:8].astype(np.float32)
    faces = np.array([[0, 1, 2], [4, 5, 6]], np.int32)
    save_mesh(tmp_path / "mesh.ply", Mesh(vertices, faces, np.zeros((8, 3), np.uint8)))
    monkeypatch.setattr(
        sys, "argv", ["bend_mesh", f"{tmp_path}/mesh.ply", f"{tmp_path}/out", "--frames", "5"]
    )
    bend_mesh.main()
    arrays = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in arrays] == [f"{number:04d}.npy" for number in range(5)]
    assert np.load(arrays[0]) == pytest.approx(vertices)
    assert np.load(arrays[1]).shape == (8, 3)
