"""Undistorted images show what a pinhole camera would have seen, on every pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from paths import real_scene
from PIL import Image
from test_lens import COEFFICIENTS, lens, pixel_grid

from gsplat_core.errors import DataError
from gsplat_core.scene import undistort as undistort_module
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.capture import Shot
from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.images import decode
from gsplat_core.scene.lens import Lens
from gsplat_core.scene.photos import Photo
from gsplat_core.scene.undistort import undistort, undistorted_camera, undistorted_image

DISTORTED = [name for name in COEFFICIENTS if "PINHOLE" not in name]
EYE = np.eye(4)


def scenery(ideal: np.ndarray) -> np.ndarray:
    """A smooth pattern on the plane of ideal coordinates, as 8-bit RGB."""
    x, y = ideal[..., 0], ideal[..., 1]
    waves = np.stack([np.sin(9 * x + 2 * y), np.cos(7 * y), np.sin(5 * (x - y))], axis=-1)
    return np.round(127.5 + 100 * waves).astype(np.uint8)


def pinhole_rays(K: np.ndarray, width: int, height: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1]], axis=-1)


@pytest.mark.parametrize("name", DISTORTED)
def test_a_known_scene_is_recovered_on_all_pixels(name: str) -> None:
    small = lens(name).resized(320, 240)
    x, y = np.meshgrid(np.arange(320) + 0.5, np.arange(240) + 0.5)
    photo = scenery(small.undistort(np.stack([x, y], axis=-1)))
    camera = undistorted_camera(small, EYE, "a")
    result = undistort(photo, small)
    assert result.shape == (camera.height, camera.width, 3)
    expected = scenery(pinhole_rays(camera.K, camera.width, camera.height))
    assert abs(result.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("name", DISTORTED)
def test_no_pixel_is_undefined_and_little_is_lost(name: str) -> None:
    camera = undistorted_camera(lens(name), EYE, "a")
    sources = lens(name).distort(pinhole_rays(camera.K, camera.width, camera.height))
    assert (sources >= 0.5 - 1e-6).all()
    assert (sources <= [639.5 + 1e-6, 479.5 + 1e-6]).all()
    # On each axis the view reaches some border of the photograph to within two pixels.
    margins = np.stack([sources.min(axis=(0, 1)) - 0.5, np.array([639.5, 479.5]) - sources.max(axis=(0, 1))])
    assert (margins.min(axis=0) < 2).all()
    assert np.diag(camera.K)[:2].tolist() == list(lens(name).focal)


def test_agrees_with_colmaps_undistorter() -> None:
    distorted, pinhole = real_scene("tabletop_distorted"), real_scene("tabletop")
    ours, theirs = read_model(distorted), read_model(pinhole)
    name = "robot/000028-color.jpg"
    lenses = [
        next(model.lenses[image.camera_id] for image in model.images if image.name == name)
        for model in (ours, theirs)
    ]
    camera = undistorted_camera(lenses[0], EYE, name)
    # COLMAP crops to the rectangle between the borders too; its rounding differs by a few pixels.
    assert abs(camera.width - lenses[1].width) <= 4
    assert abs(camera.height - lenses[1].height) <= 4
    image = undistort(decode(distorted / "images" / name), lenses[0]).astype(float)
    reference = decode(pinhole / "images" / name).astype(float)
    # Compare at COLMAP's pixels, which are ours shifted by a fraction of a pixel.
    shift = camera.K[:2, 2] - lenses[1].K[:2, 2]
    x, y = (round(float(value)) for value in shift)
    height, width = min(image.shape[0], reference.shape[0]) - 8, min(image.shape[1], reference.shape[1]) - 8
    a = image[4 + y : 4 + y + height, 4 + x : 4 + x + width]
    b = reference[4 : 4 + height, 4 : 4 + width]
    assert abs(a - b).mean() < 5
    # A wrong sign of the distortion would be far worse than this.
    raw = decode(distorted / "images" / name).astype(float)[4 : 4 + height, 4 : 4 + width]
    assert abs(a - b).mean() < 0.5 * abs(raw - b).mean()


def test_lens_that_packs_pixels_is_averaged_not_aliased() -> None:
    # Strong pincushion: away from the centre one pinhole pixel covers several of the photograph.
    strong = Lens(lens("SIMPLE_RADIAL").model, 640, 480, (500.0, 500.0), (320.0, 240.0), (4.0,))
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    result = undistort(stripes, strong)
    outer = result[:, -result.shape[1] // 10 :].astype(float)
    assert outer.std() < 40  # point sampling leaves about 100


def test_unusable_distortion_is_refused_by_name() -> None:
    broken = Lens(lens("SIMPLE_RADIAL").model, 640, 480, (500.0, 500.0), (5000.0, 240.0), (0.1,))
    with pytest.raises(DataError, match="SIMPLE_RADIAL"):
        undistorted_camera(broken, EYE, "a.jpg")


def test_wide_fisheye_becomes_a_bounded_image() -> None:
    model = lens("SIMPLE_RADIAL_FISHEYE").model
    wide = Lens(model, 1000, 1000, (300.0, 300.0), (500.0, 500.0), (0.0,))  # 190 degrees across
    camera = undistorted_camera(wide, EYE, "a")
    assert 1000 < camera.width <= 2001


class TestOfAPhotograph:
    @pytest.fixture
    def photo(self, tmp_path: Path) -> Photo:
        path = tmp_path / "a.png"
        Image.fromarray(scenery(lens("OPENCV").undistort(pixel_grid(1)))).save(path)
        return Photo(Shot("a", lens("OPENCV"), EYE), path, exif_rotate=False)

    @staticmethod
    def camera(downscale: int) -> Camera:
        camera = undistorted_camera(lens("OPENCV"), EYE, "a")
        return camera.resized(camera.width // downscale, camera.height // downscale)

    @pytest.mark.parametrize("downscale", [1, 2, 5])
    def test_shows_the_scene_at_any_size(self, photo: Photo, downscale: int) -> None:
        camera = self.camera(downscale)
        result = undistorted_image(photo, camera, "black").astype(int)
        expected = scenery(pinhole_rays(camera.K, camera.width, camera.height))
        assert abs(result - expected).max() <= (2 if downscale == 1 else 4)

    def test_nothing_is_written(self, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        undistorted_image(photo, self.camera(1), "black")
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

    def test_where_pixels_look_is_computed_once_for_a_lens(
        self, photo: Photo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = [undistorted_image(photo, self.camera(downscale), "black") for downscale in (1, 5)]
        monkeypatch.setattr(Lens, "distort", None)  # must not be called
        again = [undistorted_image(photo, self.camera(downscale), "black") for downscale in (1, 5)]
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_grid_is_the_same_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = scenery(pixel_grid(8)[..., :2] / 100)
    small = lens("THIN_PRISM_FISHEYE").resized(photo.shape[1], photo.shape[0])
    whole = undistort(photo, small)
    undistort_module._sampling_grid.cache_clear()
    monkeypatch.setattr(undistort_module, "_BLOCK", 1000)
    np.testing.assert_array_equal(undistort(photo, small), whole)
