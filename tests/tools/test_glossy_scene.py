"""The glossy scene: what its balls show is what a mirror would, and trainings can read it."""

from __future__ import annotations

from pathlib import Path

import make_glossy_scene as glossy
import numpy as np
import pytest
from PIL import Image

from gsplat_core.scene.dataset import Dataset


@pytest.fixture(scope="module")
def scene() -> glossy.Scene:
    return glossy.build(1)


def test_a_round_ball_shows_what_its_mirrored_rays_see(scene: glossy.Scene) -> None:
    ball = next(ball for ball in scene.balls if ball.facets is None)
    top = ball.centre + np.array([0, 0, ball.radius])
    high = scene.lamps[:, 2] > 0.5  # with nothing in the way
    assert int(high.sum()) >= 5
    for lamp, light in zip(scene.lamps[high], scene.lights[high], strict=True):
        # Seen from where the top, a horizontal mirror, reflects the lamp to.
        direction = np.array([*lamp[:2], -lamp[2]])
        colour = scene.seen_along((top - 3 * direction)[None], direction[None])[0]
        expected = (0.3 * ball.colour + 0.8 * scene.light_from(lamp[None])[0]).clip(0, 1)
        np.testing.assert_allclose(colour, expected, atol=1e-6)
        assert (colour >= (0.8 * light).clip(0, 1) - 1e-6).all()


def test_a_facet_is_one_plane_and_its_lamps_go_out_as_one_moves(scene: glossy.Scene) -> None:
    ball = next(ball for ball in scene.balls if ball.facets is not None)
    assert ball.facets is not None
    normal = ball.facets[ball.facets[:, 2].argmax()]
    place = ball.centre + ball.radius * normal
    near = place + 0.02 * np.cross(normal, [1.0, 0.0, 0.0])
    colours = {}
    for name, spot, turn in (("here", place, 0.0), ("beside", near, 0.0), ("elsewhere", place, 0.6)):
        direction = -np.array([np.sin(turn), 0.0, np.cos(turn)])
        colours[name] = scene.seen_along((spot - 4 * direction)[None], direction[None])[0]
    assert np.abs(colours["here"] - colours["beside"]).max() < 0.02
    assert np.abs(colours["here"] - colours["elsewhere"]).max() > 0.1


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        glossy.make(tmp_path / name, 24, 18, 3, 2, seed)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) == 3 + 2 + 3
    same = [(tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files]
    others = [(tmp_path / "a" / f).read_bytes() == (tmp_path / "c" / f).read_bytes() for f in files]
    assert all(same)
    assert not all(others)


def test_trainings_read_its_views_and_points(tmp_path: Path, scene: glossy.Scene) -> None:
    glossy.make(tmp_path, 32, 24, 5, 2, 1)
    dataset = Dataset.load(tmp_path)
    assert (len(dataset.train), len(dataset.test)) == (5, 2)
    assert len(dataset.points.xyz) == pytest.approx(4000, abs=5)
    # A point of the tallest ball is where the camera shows it.
    view = dataset.train[0]
    pixel = view.camera.K @ (view.camera.viewmat[:3] @ [*scene.balls[0].centre - dataset.offset, 1.0])
    x, y = pixel[:2] / pixel[2]
    assert 0 < x < 32
    assert 0 < y < 24
    pose = glossy.poses(5, 0.0)[0]
    np.testing.assert_array_equal(view.image().numpy(), glossy.photograph(scene, pose, 32, 24))


def test_a_fisheye_sees_along_the_rays_of_the_camera_that_reads_it(
    tmp_path: Path, scene: glossy.Scene
) -> None:
    glossy.make(tmp_path, 24, 18, 1, 1, 1, fisheye=True)
    (view,) = Dataset.load(tmp_path, distortion="keep").train
    camera = view.camera
    assert camera.model == "fisheye"
    assert camera.K[0, 0] == camera.K[1, 1] == pytest.approx(15 / glossy.CORNER)
    # The corners, which see the soft floor and sky.
    picture = np.asarray(Image.open(tmp_path / "images" / "train_000.png")) / 255
    centre = -camera.viewmat[:3, :3].T @ camera.viewmat[:3, 3]
    for row, column in ((0, 0), (0, 23), (17, 0), (17, 23)):
        offset = np.array([column + 0.5 - 12, row + 0.5 - 9])
        angle = np.linalg.norm(offset) / camera.K[0, 0]
        direction = np.array([*(np.sin(angle) * offset / np.linalg.norm(offset)), np.cos(angle)])
        colour = scene.seen_along(centre[None], (camera.viewmat[:3, :3].T @ direction)[None])[0]
        assert np.abs(picture[row, column] - colour).max() < 0.15
