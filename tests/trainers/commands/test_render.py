"""Which cameras `render` draws from, and what becomes of them at another size."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from gsplat_core.errors import UsageError
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Orbit
from trainers.commands.render import MOST, UP, _cameras, _resized, render

K = np.array([[100.0, 0, 36.0], [0, 90.0, 20.0], [0, 0, 1]])
CAMERA = Camera(np.eye(4), K, 80, 50, "a")


def gaussians() -> Gaussians:
    means = torch.tensor([[0.0, 0, 0], [1, 0, 0], [-1, 0, 0]])
    zeros = torch.zeros
    return Gaussians(means, torch.ones(3, 4), zeros(3, 3), zeros(3), zeros(3, 1, 3), zeros(3, 0, 3))


@pytest.mark.parametrize(
    ("asked", "size", "scale"),
    [
        ((160, 100), (160, 100), 2.0),
        ((40, None), (40, 25), 0.5),
        ((None, 100), (160, 100), 2.0),
        ((160, 50), (160, 50), 2.0),
        ((80, 100), (80, 100), 2.0),
        ((33, None), (33, 21), 33 / 80),
    ],
)
def test_another_size_covers_and_cuts_off_alike_on_both_sides(
    asked: tuple[int | None, int | None], size: tuple[int, int], scale: float
) -> None:
    resized = _resized(CAMERA, *asked)
    assert (resized.width, resized.height) == size
    scale = max(size[0] / 80, size[1] / 50)
    assert resized.K[0, 0] == pytest.approx(100 * scale)
    assert resized.K[1, 1] == pytest.approx(90 * scale)
    # The middle of the picture shows what it showed.
    for axis in (0, 1):
        middle, before = np.array(size)[axis] / 2, np.array([40, 25])[axis]
        ray = (middle - resized.K[axis, 2]) / resized.K[axis, axis]
        assert ray == pytest.approx((before - K[axis, 2]) / K[axis, axis])
    assert CAMERA.K[0, 0] == 100.0


def test_orbits_without_photographs_go_around_the_gaussians() -> None:
    cameras = _cameras(gaussians(), None, "orbit", 7, "-z")
    assert len(cameras) == 7
    assert all((camera.width, camera.height) == (800, 600) for camera in cameras)
    for camera in cameras:
        assert camera.viewmat[1, 2] > 0  # down in the picture is z
    with pytest.raises(UsageError, match="--scene DATA"):
        _cameras(gaussians(), None, "test", 7, "z")


def test_paths_are_those_of_the_photographs() -> None:
    others = [Camera(np.eye(4), K, 80, 50, name) for name in "bc"]
    around = Orbit(np.zeros(3), np.array([0.0, 0, 1]), 2.0, 0.0).cameras(4, CAMERA)
    dataset = SimpleNamespace(
        train=[SimpleNamespace(camera=camera) for camera in around],
        test=[SimpleNamespace(camera=camera) for camera in others],
    )
    assert _cameras(gaussians(), dataset, "train", 7, "z") == around  # type: ignore[arg-type]
    assert _cameras(gaussians(), dataset, "test", 7, "z") == others  # type: ignore[arg-type]
    orbit = _cameras(gaussians(), dataset, "orbit", 3, "z")  # type: ignore[arg-type]
    assert [(camera.width, camera.height) for camera in orbit] == [(80, 50)] * 3
    assert all(np.linalg.norm(camera.center) == pytest.approx(2.0) for camera in orbit)
    dataset.test = []
    with pytest.raises(UsageError, match="no test views"):
        _cameras(gaussians(), dataset, "test", 7, "z")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MOST)
@pytest.mark.parametrize("beyond", ["below", "above"])
def test_numbers_out_of_range(tmp_path: Path, name: str, beyond: str) -> None:
    wrong = 0 if beyond == "below" else MOST[name] + 1
    with pytest.raises(UsageError, match=f"--{name} must be from 1 to {MOST[name]:,}"):
        render(tmp_path / "a.ply", **{name: wrong})  # type: ignore[arg-type]


def test_directions_that_may_be_up() -> None:
    for name, direction in UP.items():
        expected = np.eye(3)["xyz".index(name[-1])] * (-1 if name[0] == "-" else 1)
        np.testing.assert_array_equal(direction, expected)
