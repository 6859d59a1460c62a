"""Masks of labels are found beside photographs and follow them, and no two labels are averaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_scene import TinyScene

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.label_masks import label_masks, read_label_mask
from gsplat_core.scene.lens import Lens

WIDTH, HEIGHT = 32, 24
ORIENTATION = 0x0112


def scene_of(tmp_path: Path, *names: str, lens: tuple | None = None) -> Path:
    scene = TinyScene()
    if lens is not None:
        scene.cameras[0] = lens
    scene.images = [(i + 1, (1.0, 0, 0, 0), (float(i), 0, 4), 1, name, []) for i, name in enumerate(names)]
    return scene.write(tmp_path / "scene")


def views_of(scene: Path, **options: object) -> list[View]:
    return Dataset.load(scene, prefetch=False, test_every=0, **options).train


def put(path: Path, labels: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    (image if mode is None else image.convert(mode)).save(path)
    return path


def numbers(most: int, dtype: type = np.uint8) -> np.ndarray:
    """Another label for nearly every pixel."""
    return (np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) * 7 % (most + 1)).astype(dtype)


def test_masks_are_called_as_photographs(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, "a.png", "sub/a.png", "b.png", "c.png")
    for name in ("a.png", "sub/a.png.png", "b_mask.png"):
        put(tmp_path / "labels" / name, numbers(3))
    found = label_masks(tmp_path / "labels", views_of(scene))
    assert {name: path.relative_to(tmp_path / "labels").as_posix() for name, path in found.items()} == {
        "a.png": "a.png", "sub/a.png": "sub/a.png.png", "b.png": "b_mask.png",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "1 bit", "palette"])
def test_every_kind_of_whole_number_is_read_as_it_is(tmp_path: Path, kind: str) -> None:
    (view, *_) = views_of(scene_of(tmp_path, "a.png", "b.png"))
    labels = numbers(60_000, np.uint16) if kind == "16 bits" else numbers(1 if kind == "1 bit" else 255)
    image = Image.fromarray(labels > 0 if kind == "1 bit" else labels)
    if kind == "palette":
        image = Image.fromarray(labels, "P")
        image.putpalette([255 - i // 3 for i in range(768)])
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_label_mask(tmp_path / "a.png", view), labels)


def test_they_are_shrunk_without_mixing_labels(tmp_path: Path) -> None:
    (view, *_) = views_of(scene_of(tmp_path, "a.png", "b.png"), downscale=2)
    labels = np.repeat(np.repeat(numbers(250)[::2, ::2], 2, 0), 2, 1)
    assert np.array_equal(read_label_mask(put(tmp_path / "a.png", labels), view), labels[::2, ::2])
    # A mask that was made of shrunk or enlarged photographs, too.
    for size in (labels[::2, ::2], np.kron(labels, np.ones((3, 3), np.uint8))):
        assert np.array_equal(read_label_mask(put(tmp_path / "b.png", size), view), labels[::2, ::2])


def test_they_are_undistorted_as_their_photograph(tmp_path: Path) -> None:
    lens = (1, "OPENCV", WIDTH, HEIGHT, (30.0, 31.0, 16.0, 12.0, -0.2, 0.02, 0.0, 0.0))
    scene = scene_of(tmp_path, "a.png", "b.png", lens=lens)
    view = views_of(scene)[0]
    labels = numbers(250)
    read = read_label_mask(put(tmp_path / "a.png", labels), view).numpy()
    assert read.shape == (view.camera.height, view.camera.width) != labels.shape
    known = view.photo.shot.lens
    assert isinstance(known, Lens)
    for row, column in ((0, 0), (view.camera.height - 1, 3), (7, view.camera.width - 1)):
        K = view.camera.K
        ideal = np.array([(column + 0.5 - K[0, 2]) / K[0, 0], (row + 0.5 - K[1, 2]) / K[1, 1]])
        x, y = known.distort(ideal)
        assert read[row, column] == labels[int(y), int(x)]
    kept = views_of(scene, distortion="keep")[0]
    assert np.array_equal(read_label_mask(tmp_path / "a.png", kept), labels)


def test_they_are_turned_as_their_photograph(tmp_path: Path) -> None:
    """By its EXIF data, where they do not fit as they are."""
    scene = scene_of(tmp_path, "a.png", "b.png")
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # stored on its side: to be turned clockwise
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((WIDTH, HEIGHT, 3), np.uint8)).save(scene / "images" / name, exif=exif)
    (view, *_) = views_of(scene, exif_rotate=True)
    labels = numbers(60_000, np.uint16)
    upright = read_label_mask(put(tmp_path / "a.png", labels), view)
    assert np.array_equal(upright, labels)
    assert np.array_equal(read_label_mask(put(tmp_path / "b.png", np.rot90(labels).copy()), view), labels)


def test_what_is_masked_out_says_nothing(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, "a.png", "b.png")
    left = np.zeros((HEIGHT, WIDTH), np.uint8)
    left[:, : WIDTH // 2] = 255
    put(scene / "masks" / "a.png", left)
    (view, *_) = views_of(scene)
    labels = numbers(5)
    read = read_label_mask(put(tmp_path / "a.png", labels), view).numpy()
    assert np.array_equal(read, np.where(left > 0, labels.astype(int), -1))
    # A mask that is used for both has a background.
    both = put(scene / "masks" / "a.png", left)
    assert np.array_equal(read_label_mask(both, views_of(scene)[0]), left)


def test_masks_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    views = views_of(scene_of(tmp_path, "a.png", "b.png"))
    with pytest.raises(DataError, match="the folder of masks does not exist"):
        label_masks(tmp_path / "nowhere", views)
    put(tmp_path / "labels" / "z.png", numbers(3))
    with pytest.raises(DataError, match=r"it holds 'z.png', .* Call a mask 'a.png.png' or 'a.png'"):
        label_masks(tmp_path / "labels", views)
    with pytest.raises(DataError, match=r"this mask is 20 x 24 pixels, but its photograph is 32 x 24"):
        read_label_mask(put(tmp_path / "m.png", numbers(3)[:, 12:]), views[0])
    with pytest.raises(DataError, match="one whole number for each pixel, this is PNG of mode RGB"):
        read_label_mask(put(tmp_path / "m.png", numbers(3), "RGB"), views[0])
    with pytest.raises(DataError, match="this is PNG of mode LA"):
        read_label_mask(put(tmp_path / "m.png", numbers(3), "LA"), views[0])
    with pytest.raises(DataError, match="this is JPEG of mode L"):
        read_label_mask(put(tmp_path / "m.jpg", numbers(3)), views[0])
    (tmp_path / "m.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"m\.png"):
        read_label_mask(tmp_path / "m.png", views[0])
    data = put(tmp_path / "m.png", numbers(200)).read_bytes()
    (tmp_path / "m.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"m\.png"):
        read_label_mask(tmp_path / "m.png", views[0])
