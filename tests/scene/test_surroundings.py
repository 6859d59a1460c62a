"""A sky behind everything, and points in gaps between those of the reconstruction."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core.scene.cameras import Camera, rigid
from gsplat_core.scene.coverage import coverage
from gsplat_core.scene.dataset import Dataset, Points, View
from gsplat_core.scene.scale import scene_scale
from gsplat_core.scene.surroundings import surroundings

WIDTH, HEIGHT = 96, 72
K = np.array([[80.0, 0, WIDTH / 2], [0, 80, HEIGHT / 2], [0, 0, 1]])
BLUE, GREEN = (90, 140, 250), (60, 160, 60)


def cameras() -> list[Camera]:
    """In a row, all facing forward."""
    return [Camera(rigid(np.eye(3), np.array([-x, 0.0, 0])), K, WIDTH, HEIGHT) for x in np.linspace(-1, 1, 5)]


def views(image: np.ndarray) -> list[View]:
    return [View(camera, lambda: image) for camera in cameras()]


def wall(hole: float = 0.0) -> np.ndarray:
    """Points [P, 3] on a wall at depth 10 that fills every image but for a hole in its middle."""
    x, y = np.meshgrid(np.arange(-9, 9, 0.3), np.arange(-6, 6, 0.3))
    points = np.stack([x.ravel(), y.ravel(), np.full(x.size, 10.0)], axis=1)
    return points[np.linalg.norm(points[:, :2], axis=1) >= hole]


def image(top: tuple[int, int, int] = GREEN, bottom: tuple[int, int, int] = GREEN) -> np.ndarray:
    pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    pixels[: HEIGHT // 2], pixels[HEIGHT // 2 :] = top, bottom
    return pixels


def ground() -> np.ndarray:
    """Points only below the horizon."""
    points = wall()
    return points[points[:, 1] > 0]


def added(photographs: list[View], xyz: np.ndarray, **options: bool | None):
    scale = scene_scale([view.camera for view in photographs], xyz)
    points = torch.from_numpy(xyz).float()
    dataset = Dataset(photographs, [], Points(points, torch.full_like(points, 0.5)), scale)
    return surroundings(dataset, options.get("sky"), options.get("gaps"))


def test_a_wall_of_points_leaves_nothing_open() -> None:
    for camera in cameras():
        covered = coverage(camera, wall())
        assert not covered.open.any()
        assert not covered.enclosed.any()


def test_cells_with_points_to_all_sides_are_enclosed_and_those_beyond_the_points_are_open() -> None:
    hole, beyond = coverage(cameras()[2], wall(hole=2.0)), coverage(cameras()[2], ground())
    assert hole.enclosed.any()
    assert not hole.open.any()
    assert beyond.open.mean() == pytest.approx(0.5, abs=0.1)
    assert not beyond.enclosed.any()


def test_a_scene_that_is_full_of_points_stays_as_it_is() -> None:
    found = added(views(image()), wall())
    assert len(found.points.xyz) == found.sky == 0


def test_a_sky_stands_behind_everything_in_its_colour() -> None:
    found = added(views(image(top=BLUE)), ground())
    assert found.sky == len(found.points.xyz) > 100
    assert (found.points.xyz.norm(dim=1) > 20 * 10).all()
    assert (found.points.xyz[:, 1] < 0).all()
    torch.testing.assert_close(
        found.points.rgb, torch.tensor(BLUE).expand_as(found.points.rgb) / 255, rtol=0, atol=0.01
    )


def test_what_changes_its_colour_from_view_to_view_is_no_sky() -> None:
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)]
    photographs = [views(image(top=color))[number] for number, color in enumerate(colors)]
    seen_once = added(photographs[:1], ground()).sky
    assert added(photographs, ground()).sky < seen_once / 2


def test_a_gap_is_filled_at_the_depth_around_it() -> None:
    found = added(views(image()), wall(hole=3.0))
    assert found.sky == 0
    places = found.points.xyz
    assert len(places) > 10
    torch.testing.assert_close(places[:, 2], torch.full_like(places[:, 2], 10.0))
    assert (places[:, :2].norm(dim=1) < 3.0).all()
    assert len(torch.unique((places / 0.1).round(), dim=0)) == len(places)


def test_what_is_masked_out_is_neither_sky_nor_gap() -> None:
    def masked(camera: Camera) -> View:
        kept = np.ones((HEIGHT, WIDTH), bool)
        kept[: HEIGHT // 2 + 8] = False
        return View(camera, lambda: image(top=BLUE), lambda: kept)

    assert len(added([masked(camera) for camera in cameras()], ground()).points.xyz) == 0


def test_there_are_never_more_than_points() -> None:
    few = ground()[::20]
    found = added(views(image(top=BLUE)), few, sky=True, gaps=True)
    assert 0 < found.sky <= len(few)
    assert len(found.points.xyz) - found.sky <= len(few)


@pytest.mark.parametrize(("sky", "gaps"), [(False, False), (False, None), (None, False)])
def test_each_can_be_left_out(sky: bool | None, gaps: bool | None) -> None:
    outdoors = added(views(image(top=BLUE)), ground(), sky=sky, gaps=gaps)
    assert (outdoors.sky > 0) == (sky is not False)
    holed = added(views(image()), wall(hole=3.0), sky=sky, gaps=gaps)
    assert (len(holed.points.xyz) > holed.sky) == (gaps is not False)
