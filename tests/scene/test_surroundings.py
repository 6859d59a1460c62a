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


def sky_of(photographs: list[View], xyz: np.ndarray, behind: int | None = None):
    scale = scene_scale([view.camera for view in photographs], xyz)
    points = torch.from_numpy(xyz).float()
    dataset = Dataset(photographs, [], Points(points, torch.full_like(points, 0.5)), scale)
    return surroundings(dataset, sky=True, gaps=False, behind=behind), scale


def test_the_sky_is_far_beyond_what_is_seen_and_beyond_the_points() -> None:
    for far in (0.0, 1000.0):
        xyz = np.concatenate([ground(), np.tile([[0.0, far / 2, far]], (40, 1))]) if far else ground()
        found, scale = sky_of(views(image(top=BLUE)), xyz)
        distance = np.quantile(np.linalg.norm(xyz - scale.center, axis=1), 0.99)
        radius = max(20 * scale.length, 2 * distance)
        assert (radius > 20 * scale.length) == bool(far)
        places = found.points.xyz.double().numpy() - scale.center
        np.testing.assert_allclose(np.linalg.norm(places, axis=1), radius, rtol=1e-5)


def test_directions_of_the_sky_are_even() -> None:
    """As many in each part of what is seen as its share of the sphere."""
    found, scale = sky_of(views(image(top=BLUE))[2:3], np.tile(ground(), (20, 1)))
    directions = found.points.xyz.double().numpy() - scale.center
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    pixels = directions[:, :2] / directions[:, 2:] * 80 + [WIDTH / 2, HEIGHT / 2]
    assert (directions[:, 2] > 0).all()
    assert (pixels >= 0).all()
    assert (pixels[:, 0] <= WIDTH).all()
    x, y = np.meshgrid(
        (np.arange(WIDTH) + 0.5 - WIDTH / 2) / 80, (np.arange(HEIGHT // 2) + 0.5 - HEIGHT / 2) / 80
    )
    solid = ((1 + x * x + y * y) ** -1.5).sum() / 80**2
    assert len(directions) == pytest.approx(20_000 * solid / (4 * np.pi), rel=0.15)
    nearest = np.sort(np.linalg.norm(directions[:, None] - directions[None], axis=2), axis=1)[:, 1]
    assert nearest.min() > 0.7 * np.sqrt(4 * np.pi / 20_000)


@pytest.mark.parametrize(("grey", "needed"), [(100, False), (104, False), (112, True), (0, True)])
def test_a_background_of_the_skys_colour_is_sky_enough(grey: int, needed: bool) -> None:
    """To 3 % in every channel."""
    found, _ = sky_of(views(image(top=(100, 100, 100))), ground(), behind=grey)
    assert (found.sky > 0) is needed
    found, _ = sky_of(views(image(top=(100, 100, 140))), ground(), behind=100)
    assert found.sky > 0


@pytest.mark.parametrize(("difference", "same"), [(20, True), (70, True), (90, False), (200, False)])
def test_views_may_differ_a_little_in_the_skys_colour(difference: int, same: bool) -> None:
    """To a standard deviation of 15 %: half the difference, where every second view differs."""
    photographs = [
        View(camera, lambda grey=20 + difference * (i % 2): image(top=(grey,) * 3))
        for i, camera in enumerate(cameras()[2:3] * 4)
    ]
    assert (sky_of(photographs, ground())[0].sky > 0) is same


def test_sky_is_what_most_views_see_through() -> None:
    """What half of the views that look there see no points in front of."""
    camera = cameras()[2]
    photographs = [View(camera, lambda: image(top=BLUE))] * 4
    scale = scene_scale([camera] * 4, ground())
    dataset = Dataset(photographs, [], Points(*[torch.from_numpy(ground()).float()] * 2), scale)
    whole, open_ = coverage(camera, wall()), coverage(camera, ground())
    for number, sky in ((1, False), (2, True), (4, True)):
        dataset.__dict__["coverage"] = [open_] * number + [whole] * (4 - number)
        assert (surroundings(dataset, sky=True, gaps=False).sky > 0) is sky


def test_points_in_a_gap_are_where_and_as_dense_as_the_view_shows_it() -> None:
    """Nine for each cell of the hole, in the colours of the photograph, none outside."""
    shaded = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    shaded[..., 0] = np.linspace(0, 255, WIDTH)[None]
    shaded[..., 1] = np.linspace(0, 255, HEIGHT)[:, None]
    photographs = [View(cameras()[2], lambda: shaded)]
    points = wall(hole=3.0).astype(np.float32).astype(np.float64)
    found = added(photographs, points, sky=False, gaps=True)
    xyz = found.points.xyz.double().numpy()
    covered = coverage(cameras()[2], points)
    pixels = xyz[:, :2] / xyz[:, 2:] * 80 + [WIDTH / 2, HEIGHT / 2]
    cell = (pixels / covered.side).astype(int)
    assert covered.enclosed[cell[:, 1], cell[:, 0]].all()
    assert len(xyz) == 9 * covered.enclosed.sum()
    expected = np.stack([pixels[:, 0] / WIDTH, pixels[:, 1] / HEIGHT, np.zeros(len(xyz))], axis=1)
    np.testing.assert_allclose(found.points.rgb.numpy(), expected, atol=0.03)
