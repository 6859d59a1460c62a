"""Masks beside photographs: found by any of the usual names, read, scaled, undistorted, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_scene import TinyScene, coordinate_pixels

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset, View

WIDTH, HEIGHT = 32, 24


def load(scene: Path, **options: object) -> Dataset:
    return Dataset.load(scene, prefetch=False, **{"test_every": 0, **options})


def scene_of(tmp_path: Path, *names: str, lens: tuple | None = None) -> Path:
    scene = TinyScene()
    if lens is not None:
        scene.cameras[0] = lens
    scene.images = [
        (i + 1, (1.0, 0, 0, 0), (float(i), 0, 4), 1, name, []) for i, name in enumerate(names or "abc")
    ]
    if not names:
        scene.images = [(*row[:4], f"{row[4]}.png", []) for row in scene.images]
    return scene.write(tmp_path / "scene")


def half(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """White on the left."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    return mask


def put(path: Path, mask: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path, **options)


def kept(view: View) -> np.ndarray | None:
    mask = view.mask()
    return None if mask is None else mask.numpy()


@pytest.mark.parametrize(
    ("photograph", "mask"),
    [
        ("a.png", "a.png.png"),
        ("a.png", "a.png"),
        ("A.png", "a.PNG"),
        ("a.png", "a.jpg"),
        ("a.png", "a_mask.png"),
        ("a.png", "a.mask.png"),
        ("cam1/a.png", "cam1/a.png.png"),
        ("shot.0001.png", "shot.0001.png"),
    ],
)
@pytest.mark.parametrize("folder", ["masks", "mask"])
def test_masks_are_found(tmp_path: Path, photograph: str, mask: str, folder: str) -> None:
    scene = scene_of(tmp_path, photograph, "b.png", "c.png")
    put(scene / folder / mask, half())
    data = load(scene)
    views = {view.name: view for view in data.train}
    np.testing.assert_array_equal(kept(views.pop(photograph)), half() > 0)
    assert all(kept(view) is None and not view.is_masked for view in views.values())
    (line,) = data.warnings
    assert "1 photographs have masks; 2 have none and are used whole" in line


def test_images_of_the_same_name_in_two_folders_keep_their_own_masks(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, "x/a.png", "y/a.png")
    put(scene / "masks/x/a.png", half())
    put(scene / "masks/y/a.png", 255 - half())
    first, second = load(scene).train
    assert (kept(first) != kept(second)).all()


def test_a_folder_by_name_and_none_at_all(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    put(scene / "masks/a.png", half())
    put(scene / "people/b.png", half())
    put(tmp_path / "elsewhere/c.png", half())
    masked = {
        chosen: [view.name for view in load(scene, masks=chosen).train if view.is_masked]
        for chosen in (None, "none", "people", str(tmp_path / "elsewhere"))
    }
    assert list(masked.values()) == [["a.png"], [], ["b.png"], ["c.png"]]
    assert load(scene, masks="none").warnings == []
    with pytest.raises(DataError, match="folder of masks does not exist"):
        load(scene, masks="nowhere")


@pytest.mark.parametrize("kind", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16", "zeros and ones"])
def test_kinds_of_masks(tmp_path: Path, kind: str) -> None:
    scene = scene_of(tmp_path)
    image = Image.fromarray(half())
    if kind == "I;16":
        image = Image.fromarray(half().astype(np.uint16) * 257)
    elif kind == "zeros and ones":
        image = Image.fromarray(half() // 255)
    else:
        image = image.convert(kind)
    (scene / "masks").mkdir()
    image.save(scene / "masks/a.png")
    np.testing.assert_array_equal(kept(load(scene).train[0]), half() > 0)


def test_transparent_is_black(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    white = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    white[..., 3] = half()
    put(scene / "masks/a.png", white)
    np.testing.assert_array_equal(kept(load(scene).train[0]), half() > 0)


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_masks_of_another_size_are_scaled(tmp_path: Path, factor: float) -> None:
    scene = scene_of(tmp_path)
    put(scene / "masks/a.png", half(round(WIDTH * factor), round(HEIGHT * factor)))
    np.testing.assert_array_equal(kept(load(scene).train[0]), half() > 0)


def test_masks_shrink_with_their_photographs(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    mask = half()
    mask[0, 17] = 255  # a quarter of a pixel
    mask[4:6, 18] = 255  # half of one
    put(scene / "masks/a.png", mask)
    expected = half(16, 12) > 0
    expected[2, 9] = True
    view = load(scene, downscale=2).train[0]
    np.testing.assert_array_equal(kept(view), expected)


@pytest.mark.parametrize("distortion", [0.0, 0.1])
@pytest.mark.parametrize("transparent", [False, True])
def test_what_is_masked_out_is_black_and_has_no_part_in_other_pixels(
    tmp_path: Path, distortion: float, transparent: bool
) -> None:
    lens = (1, "OPENCV", WIDTH, HEIGHT, (30.0, 31.0, 16.0, 12.0, distortion, 0.0, 0.0, 0.0))
    scene = scene_of(tmp_path, lens=lens)
    mask = half()
    mask[3:9, 5:24] = 255
    put(scene / "masks/a.png", mask)
    pixels = np.full((HEIGHT, WIDTH, 4), 200, np.uint8)
    pixels[..., 3] = 100 if transparent else 255
    pixels[mask == 0] = 255
    put(scene / "images/a.png", pixels)
    view = load(scene, downscale=1.7, alpha="keep").train[0]
    seen, image, alpha = kept(view), view.image().numpy(), view.alpha()
    assert seen is not None
    assert 0.2 < seen.mean() < 0.8
    assert (image[~seen] == 0).all()
    expected = 200 * 100 / 255 if transparent else 200
    assert abs(image[seen].astype(float) - expected).max() <= 4
    assert (alpha is not None) == transparent
    if alpha is not None:
        assert abs(alpha.numpy()[seen] - 100.0).max() <= 4
        assert (alpha.numpy()[~seen] == 255).all()


def test_another_mask_makes_another_undistorted_image(tmp_path: Path) -> None:
    lens = (1, "OPENCV", WIDTH, HEIGHT, (30.0, 31.0, 16.0, 12.0, 0.1, 0.0, 0.0, 0.0))
    scene = scene_of(tmp_path, lens=lens)
    images = []
    for mask in (half(), 255 - half()):
        put(scene / "masks/a.png", mask)
        images.append(load(scene).train[0].image())
    images.append(load(scene, masks="none").train[0].image())
    assert len({image.numpy().tobytes() for image in images}) == 3


def test_masks_are_undistorted_as_their_photographs_are(tmp_path: Path) -> None:
    lens = (1, "OPENCV", WIDTH, HEIGHT, (30.0, 31.0, 16.0, 12.0, 0.1, 0.0, 0.0, 0.0))
    scene = scene_of(tmp_path, lens=lens)
    for name in "abc":
        put(scene / f"images/{name}.png", np.repeat(half()[..., None], 3, axis=2))
    put(scene / "masks/a.png", half())
    view = load(scene).train[0]
    assert view.camera.width < WIDTH
    np.testing.assert_array_equal(kept(view), view.image().numpy()[..., 0] >= 128)


def test_masks_of_turned_photographs(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(coordinate_pixels(WIDTH, HEIGHT, 1)).transpose(Image.Transpose.ROTATE_90).save(
        scene / "images/a.png", exif=exif
    )
    (scene / "masks").mkdir()
    for name, image in (
        ("as stored", Image.fromarray(half()).transpose(Image.Transpose.ROTATE_90)),
        ("turned", Image.fromarray(half())),
    ):
        image.save(scene / "masks/a.png")
        view = load(scene, exif_rotate=True).train[0]
        np.testing.assert_array_equal(kept(view), half() > 0, err_msg=name)


def test_masks_of_another_shape_are_refused(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    put(scene / "masks/b.png", half(WIDTH, HEIGHT - 4))
    with pytest.raises(
        DataError, match=r"masks/b\.png: this mask is 32 x 20 pixels, but its photograph is 32 x 24"
    ):
        load(scene)


def test_unreadable_masks_are_refused(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    put(scene / "masks/b.png", half())
    data = (scene / "masks/b.png").read_bytes()
    for damaged in (b"", b"not an image", data[:50]):
        (scene / "masks/b.png").write_bytes(damaged)
        with pytest.raises(DataError, match=r"masks/b\.png"):
            load(scene)
        load(scene, masks="none")


def test_masks_that_fit_no_photograph_are_refused(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    put(scene / "masks/frame7.png", half())
    with pytest.raises(
        DataError, match=r"has none for any photograph.*frame7\.png.*'a\.png\.png'.*--masks none"
    ):
        load(scene)
    (scene / "masks/frame7.png").rename(scene / "masks/a.npy")
    with pytest.raises(DataError, match="has none for any photograph"):
        load(scene)


def test_masks_below_the_photographs_are_no_photographs(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    put(scene / "images/masks/a.png", half())
    data = load(scene)
    assert [view.is_masked for view in data.train] == [True, False, False]
    (line,) = data.warnings
    assert "have masks" in line


def test_an_empty_folder_is_no_folder_of_masks(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    (scene / "masks").mkdir()
    (scene / "masks/.DS_Store").write_bytes(b"")
    assert load(scene).warnings == []


def test_photographs_that_are_masked_out_are_left_out(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    put(scene / "masks/a.png", np.zeros_like(half()))
    put(scene / "masks/b.png", np.full_like(half(), 255))
    data = load(scene)
    assert [view.name for view in data.train] == ["b.png", "c.png"]
    assert "1 masks are black everywhere, such as 'a.png'; their photographs are left out" in data.warnings[1]
    assert not data.train[0].is_masked  # all white
    put(scene / "masks/b.png", np.zeros_like(half()))
    with pytest.raises(DataError, match=r"2 of 3 photographs have masks that are black everywhere.*inverted"):
        load(scene)


def transforms(tmp_path: Path, **more: object) -> Path:
    frames = []
    for i, name in enumerate("ab"):
        path = tmp_path / f"images/{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(coordinate_pixels(WIDTH, HEIGHT, i)).save(path)
        pose = np.eye(4)
        pose[0, 3] = i
        frames.append({"file_path": f"images/{name}.png", "transform_matrix": pose.tolist()})
    frames[0] |= more
    content = {"w": WIDTH, "h": HEIGHT, "fl_x": 30.0, "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    return tmp_path


def test_transforms_json_names_masks(tmp_path: Path) -> None:
    scene = transforms(tmp_path, mask_path="./m/first.png")
    put(scene / "m/first.png", half())
    first, second = load(scene).train
    np.testing.assert_array_equal(kept(first), half() > 0)
    assert kept(second) is None
    assert not any(view.is_masked for view in load(scene, masks="none").train)


def test_a_folder_of_masks_beside_a_transforms_json(tmp_path: Path) -> None:
    scene = transforms(tmp_path)
    put(scene / "masks/b.png", half())
    assert [view.is_masked for view in load(scene).train] == [False, True]
    assert [view.is_masked for view in load(scene / "transforms.json").train] == [False, True]


def test_another_folder_for_the_photographs_of_a_transforms_json(tmp_path: Path) -> None:
    scene = transforms(tmp_path)
    (scene / "images_2").mkdir()
    for path in (scene / "images").iterdir():
        Image.open(path).reduce(2).save(scene / "images_2" / path.with_suffix(".jpg").name, quality=100)
    put(scene / "masks/b.png", half())
    for chosen in ("images_2", str(scene / "images_2")):
        first, second = load(scene, images=chosen).train
        assert first.image().shape == (HEIGHT // 2, WIDTH // 2, 3)
        np.testing.assert_array_equal(kept(second), half(WIDTH // 2, HEIGHT // 2) > 0)
    assert load(scene, images="images").train[0].image().shape == (HEIGHT, WIDTH, 3)
    assert load(scene, images=".").train[0].image().shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("path", ["gone.png", 3, "../m.png", "/m.png"])
def test_mask_paths_that_cannot_be_used(tmp_path: Path, path: object) -> None:
    with pytest.raises(DataError, match=r"frames\[0\]\.mask_path"):
        load(transforms(tmp_path, mask_path=path))
