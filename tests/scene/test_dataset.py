"""From a folder to views: splits, sizes, what is left out, what is refused; inputs are never written to."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from paths import real_scene
from PIL import Image
from tiny_scene import TinyScene, coordinate_pixels

from gsplat_core.errors import DataError, ResourceError, UsageError
from gsplat_core.scene import dataset as module
from gsplat_core.scene import photos
from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.coverage import coverage
from gsplat_core.scene.dataset import Dataset


def load(scene: Path, **options: object) -> Dataset:
    return Dataset.load(scene, prefetch=False, **{"test_every": 0, **options})


def many_images(count: int, camera: int = 1) -> TinyScene:
    scene = TinyScene()
    scene.images = [
        (i + 1, (1.0, 0, 0, 0), (float(i), 0, 4), camera, f"{i:02}.png", []) for i in reversed(range(count))
    ]
    return scene


def test_views_are_in_name_order_with_their_own_pixels(tmp_path: Path) -> None:
    data = load(TinyScene().write(tmp_path))
    assert [view.name for view in data.train] == ["b.png", "c.png", "sub/a.png"]
    assert data.warnings == []
    for view, number in zip(data.train, (1, 5, 2), strict=True):
        expected = coordinate_pixels(view.camera.width, view.camera.height, number)
        np.testing.assert_array_equal(view.image().numpy(), expected)
        assert view.image() is view.image()  # decoded once
    # Quaternion (0.8, 0, 0.6, 0): a rotation about y by 2 atan2(0.6, 0.8).
    rotation = data.train[2].camera.viewmat[:3, :3]
    np.testing.assert_allclose(rotation, [[0.28, 0, 0.96], [0, 1, 0], [-0.96, 0, 0.28]], atol=1e-12)
    np.testing.assert_allclose(data.train[1].camera.center, [1, 0, -4])
    assert data.points.xyz.shape == (4, 3)
    torch.testing.assert_close(data.points.rgb[0], torch.tensor([1.0, 0, 0.2]))


def test_every_eighth_view_in_name_order_is_a_test_view(tmp_path: Path) -> None:
    data = load(many_images(18).write(tmp_path), test_every=8)
    assert [view.name for view in data.test] == ["00.png", "08.png", "16.png"]
    assert len(data.train) == 15
    centers = np.array([view.camera.center for view in data.train])
    farthest = np.linalg.norm(centers - centers.mean(axis=0), axis=1).max()
    assert data.scene_extent == pytest.approx(1.1 * farthest)


def test_downscaling_shrinks_images_and_intrinsics(tmp_path: Path) -> None:
    scene = many_images(2)
    scene.cameras[0] = (1, "PINHOLE", 33, 24, (30.0, 31.0, 16.5, 12.0))
    view = load(scene.write(tmp_path), downscale=2).train[0]
    assert (view.camera.width, view.camera.height) == (16, 12)
    np.testing.assert_allclose(view.camera.K, [[30 * 16 / 33, 0, 8], [0, 15.5, 6], [0, 0, 1]])
    image = view.image().numpy()
    assert image.shape == (12, 16, 3)
    # Pixel (x, y) has the colour (x, y): the shrunk image shows the centres of the areas it averages.
    np.testing.assert_allclose(image[0, :, 0], (np.arange(16) + 0.5) * 33 / 16 - 0.5, atol=1)


@pytest.mark.parametrize(("width", "height"), [(16, 12), (64, 48), (11, 8), (107, 80)])
def test_images_of_another_size_scale_the_intrinsics_per_axis(
    tmp_path: Path, width: int, height: int
) -> None:
    scene = many_images(3).write(tmp_path)
    for path in (scene / "images").iterdir():
        Image.new("RGB", (width, height)).save(path)
    data = load(scene)
    camera = data.train[0].camera
    assert (camera.width, camera.height) == (width, height)
    np.testing.assert_allclose(camera.K[:2, 2], [width / 2, height / 2])
    np.testing.assert_allclose(np.diag(camera.K)[:2], [30 * width / 32, 31 * height / 24])
    assert data.warnings == [
        f"3 images differ in size from their camera, intrinsics were scaled: 32x24 -> {width}x{height}."
    ]


def test_cropped_images_are_refused(tmp_path: Path) -> None:
    scene = many_images(3).write(tmp_path)
    Image.new("RGB", (20, 24)).save(scene / "images/01.png")
    with pytest.raises(DataError, match=r"01\.png: is 20 x 24 pixels, but its camera is 32 x 24.*cropped"):
        load(scene)


def test_rotated_images_are_explained_and_can_be_turned(tmp_path: Path) -> None:
    scene = many_images(3).write(tmp_path)
    path = scene / "images/01.png"
    turned = Image.fromarray(coordinate_pixels(32, 24, 2)).transpose(Image.Transpose.ROTATE_90)
    turned.save(path)
    with pytest.raises(DataError, match="seems to be rotated"):
        load(scene)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(path, exif=exif)
    with pytest.raises(DataError, match=r"24 x 32 pixels.*EXIF data ask for a rotation.*--exif-rotate"):
        load(scene)
    view = load(scene, exif_rotate=True).train[1]
    np.testing.assert_array_equal(view.image().numpy(), coordinate_pixels(32, 24, 2))


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_turns_that_leave_the_size_are_asked_for_and_counted(tmp_path: Path, orientation: int) -> None:
    scene = many_images(3).write(tmp_path)
    path = scene / "images/01.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(coordinate_pixels(32, 24, 2))
    turn = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM"}[orientation]
    upright.transpose(Image.Transpose[turn]).save(path, exif=exif)
    stored = load(scene)
    np.testing.assert_array_equal(stored.train[1].image().numpy(), np.asarray(Image.open(path)))
    assert "The EXIF data of 1 images ask for a turn" in stored.warnings[0]
    turned = load(scene, exif_rotate=True)
    np.testing.assert_array_equal(turned.train[1].image().numpy(), np.asarray(upright))
    assert turned.warnings == []


def test_photographs_stored_as_colmap_saw_them_stay_whatever_exif_says(tmp_path: Path) -> None:
    scene = many_images(3).write(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(coordinate_pixels(32, 24, 2)).save(scene / "images/01.png", exif=exif)
    for exif_rotate in (False, True):
        data = load(scene, exif_rotate=exif_rotate)
        np.testing.assert_array_equal(data.train[1].image().numpy(), coordinate_pixels(32, 24, 2))
        assert data.warnings == []


@pytest.mark.parametrize("distortion", [False, True])
def test_transparency_is_kept_with_the_view(tmp_path: Path, distortion: bool) -> None:
    scene = many_images(3)
    if distortion:
        scene.cameras[0] = (1, "OPENCV", 32, 24, (30.0, 31.0, 16.0, 12.0, 0.1, 0.0, 0.0, 0.0))
    folder = scene.write(tmp_path)
    rgba = np.full((24, 32, 4), 200, np.uint8)
    rgba[..., 3] = np.linspace(0, 255, 32)
    Image.fromarray(rgba).save(folder / "images/01.png")
    kept, black, white = (load(folder, alpha=rule).train for rule in ("keep", "black", "white"))
    alpha = kept[1].alpha()
    assert alpha is not None
    assert alpha.dtype == torch.uint8
    assert torch.equal(kept[1].image(), black[1].image())
    on_white = kept[1].image().int() + 255 - alpha.int()[..., None]
    assert (on_white - white[1].image().int()).abs().max() <= 2
    assert kept[0].alpha() is None
    assert black[1].alpha() is None


@pytest.mark.parametrize("distortion", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_what_is_transparent_does_not_count_where_it_is_the_mask(
    distortion: bool, masked: bool, tmp_path: Path
) -> None:
    scene = many_images(3)
    if distortion:
        scene.cameras[0] = (1, "OPENCV", 32, 24, (30.0, 31.0, 16.0, 12.0, 0.001, 0.0, 0.0, 0.0))
    folder = scene.write(tmp_path)
    rgba = np.full((24, 32, 4), 200, np.uint8)
    rgba[:, :10, 3] = 100
    rgba[:, 10:20, 3] = 180
    rgba[:, 20:, 3] = 255
    Image.fromarray(rgba).save(folder / "images/01.png")
    if masked:
        (folder / "masks").mkdir()
        above = np.zeros((24, 32), np.uint8)
        above[:12] = 255
        Image.fromarray(above).save(folder / "masks/01.png")
    data = load(folder, alpha="mask")
    assert any("1 of 3 photographs is used as their mask" in line for line in data.warnings)
    whole, view, _ = data.train
    assert whole.mask() is None
    assert view.alpha() is None
    mask = view.mask()
    assert mask is not None
    assert not mask[:, :9].any()
    assert mask[1:11, 11:-1].all()
    assert mask[13:-1, 11:-1].all() != masked
    assert (view.image()[mask] >= 198).all()  # as it is, not on black
    assert not view.image()[~mask].any()


def test_photographs_that_the_model_does_not_know_are_counted(tmp_path: Path) -> None:
    scene = many_images(3).write(tmp_path)
    for name in ("extra.PNG", "sub/more.jpg", "notes.txt", ".hidden.png"):
        path = scene / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (line,) = load(scene).warnings
    assert "2 of 5 photographs are not in the model and not used, such as 'extra.PNG'" in line


def test_where_photographs_lie_beside_the_model_other_folders_do_not_count(tmp_path: Path) -> None:
    scene = many_images(3)
    scene.write_model(tmp_path / "sparse/0")
    scene.write_images(tmp_path)
    for name in ("thumbnails/00.png", "extra.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (line,) = load(tmp_path).warnings
    assert "1 of 4 photographs are not in the model" in line


@pytest.mark.parametrize("spelling", ["sub\\{}", "./sub/{}", "sub/../sub/{}", "SUB/{}"])
def test_other_spellings_of_a_path_are_the_same_photograph(tmp_path: Path, spelling: str) -> None:
    scene = many_images(3)
    scene.images = [(*row[:4], spelling.format(row[4]), []) for row in scene.images]
    scene.write_model(tmp_path / "sparse/0")
    scene.images = [(*row[:4], f"sub/{i:02}.png", []) for i, row in enumerate(reversed(scene.images))]
    scene.write_images(tmp_path / "images")
    data = load(tmp_path)
    assert len(data.train) == 3
    assert data.warnings == []


SIDECARS = ("xmp", "json", "txt", "aae", "thm", "XMP", "jpg.xmp", "JPG.json")


def test_what_lies_beside_photographs_disturbs_nothing(tmp_path: Path) -> None:
    scene = many_images(3).write(tmp_path)
    for number in range(3):
        path = scene / f"images/{number:02}.png"
        Image.open(path).save(path.with_suffix(".JPG"), quality=100)
        path.unlink()
        for ending in SIDECARS:
            path.with_name(f"{number:02}.{ending}").write_bytes(b"\xff\xd8 not a photograph")
    data = load(scene)
    assert len(data.train) == 3
    assert data.warnings == [f"{scene / 'images'}: 3 images were found with another ending (.png -> .JPG)."]


@pytest.mark.parametrize(
    ("known", "on_disk"),
    [
        ("frame.0001", "frame.0001"),
        ("frame.0001", "frame.0001.png"),
        ("frame.0001.jpg", "frame.0001.png"),
        ("frame.0001.jpg", "frame.0001"),
        ("v1.2_0001", "v1.2_0001.PNG"),
        ("number1", "number1"),
    ],
)
def test_names_with_dots_and_no_ending(tmp_path: Path, known: str, on_disk: str) -> None:
    scene = many_images(4)
    scene.images = [(*row[:4], known.replace("1", str(row[0])), []) for row in scene.images]
    scene.write_model(tmp_path / "sparse/0")
    (tmp_path / "images").mkdir()
    for number in range(1, 5):
        path = tmp_path / "images" / on_disk.replace("1", str(number))
        Image.fromarray(coordinate_pixels(32, 24, number)).save(path, format="PNG")
    views = load(tmp_path).train
    assert [int(view.image()[0, 0, 2]) for view in views] == [1, 2, 3, 4]


@pytest.mark.parametrize("ending", ["bin", "txt"])
def test_names_that_are_not_utf8(tmp_path: Path, ending: str) -> None:
    scene = many_images(3)
    names = [os.fsdecode(b"caf\xe9_%d.png" % i) for i in range(3)]
    scene.write_model(tmp_path / "sparse/0", ending)
    for path in (tmp_path / "sparse/0").iterdir():
        data = path.read_bytes()
        for i in range(3):
            data = data.replace(b"%02d.png" % i, os.fsencode(names[i]))
        path.write_bytes(data)
    (tmp_path / "images").mkdir()
    for number, name in enumerate(names):
        Image.fromarray(coordinate_pixels(32, 24, number)).save(tmp_path / "images" / name)
    data = load(tmp_path)
    assert [view.name for view in data.train] == names
    assert [int(view.image()[0, 0, 2]) for view in data.train] == [0, 1, 2]
    assert data.warnings == []


def test_missing_images_are_left_out_with_the_nearest_name(tmp_path: Path) -> None:
    scene = many_images(5).write(tmp_path)
    (scene / "images/03.png").rename(scene / "images/03_.png")
    data = load(scene)
    assert len(data.train) == 4
    assert "1 of 5 images of the model are missing: '03.png' (nearest: '03_.png')" in data.warnings[0]


def test_more_than_half_missing_is_an_error(tmp_path: Path) -> None:
    scene = many_images(5).write(tmp_path)
    for name in ("00", "01", "02"):
        (scene / f"images/{name}.png").unlink()
    with pytest.raises(DataError, match="3 of 5 images of the model are missing"):
        load(scene)


def test_other_endings_are_found(tmp_path: Path) -> None:
    scene = TinyScene().write(tmp_path)
    for path in list((scene / "images").rglob("*.png")):
        path.rename(path.with_suffix(".PNG"))
    data = load(scene)
    assert len(data.train) == 3
    assert "3 images were found with another ending (.png -> .PNG)" in data.warnings[0]


def test_no_images_at_all(tmp_path: Path) -> None:
    TinyScene().write_model(tmp_path / "sparse/0")
    with pytest.raises(DataError, match=r"none of the 3 images of the model was found, such as 'b\.png'"):
        load(tmp_path)
    with pytest.raises(DataError, match="the image folder does not exist"):
        load(tmp_path, images="photos")


@pytest.mark.parametrize("folder", ["images", "input", "images_2"])
def test_image_folders(tmp_path: Path, folder: str) -> None:
    TinyScene().write_model(tmp_path / "sparse/0")
    TinyScene().write_images(tmp_path / folder)
    assert len(load(tmp_path, images="images_2" if folder == "images_2" else None).train) == 3


def test_unreadable_images_are_left_out_or_strictly_refused(tmp_path: Path) -> None:
    scene = many_images(4).write(tmp_path)
    path = scene / "images/02.png"
    path.write_bytes(path.read_bytes()[:60])
    data = load(scene)
    assert len(data.train) == 3
    assert "02.png" in data.warnings[0]
    assert "left out" in data.warnings[0]
    with pytest.raises(DataError, match=r"02\.png"):
        load(scene, strict=True)


def test_one_usable_image_is_not_enough(tmp_path: Path) -> None:
    scene = many_images(2).write(tmp_path)
    (scene / "images/00.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"1 usable images, at least 2 are needed.*00\.png"):
        load(scene)


def test_without_points(tmp_path: Path) -> None:
    scene = TinyScene(points=[]).write(tmp_path)
    data = load(scene)
    assert data.points.xyz.shape == data.points.rgb.shape == (0, 3)
    assert "no 3D points" in data.warnings[0]
    with pytest.raises(DataError, match="no 3D points, and they are required"):
        load(scene, require_points=True)


def test_cameras_at_one_place_have_an_extent(tmp_path: Path) -> None:
    scene = TinyScene()
    scene.images = [(i, (1.0, 0, 0, 0), (0.0, 0, 0), 1, f"{i}.png", []) for i in range(1, 4)]
    data = load(scene.write(tmp_path))
    assert data.scene_extent == 1.0  # the median distance of the points
    assert "at one place" in data.warnings[0]


def test_far_from_the_origin_is_moved_there_without_loss(tmp_path: Path) -> None:
    near, far = TinyScene(), TinyScene()
    place = np.array([4e6, 5e5, -1e6])
    far.points = [(i, tuple(np.array(xyz) + place), *rest) for i, xyz, *rest in near.points]
    rotations = {view.name: view.camera.viewmat[:3, :3] for view in load(near.write(tmp_path / "near")).train}
    far.images = [
        (i, q, tuple(np.array(t) - rotations[name] @ place), camera, name, keypoints)
        for i, q, t, camera, name, keypoints in near.images
    ]
    a, b = load(tmp_path / "near"), load(far.write(tmp_path / "far"))
    assert a.offset.tolist() == [0, 0, 0]
    assert "far from the origin" in b.warnings[0]
    moved = b.offset - place
    assert b.scene_extent == pytest.approx(a.scene_extent)
    torch.testing.assert_close(b.points.xyz + torch.tensor(moved).float(), a.points.xyz)
    for first, second in zip(a.train, b.train, strict=True):
        np.testing.assert_allclose(second.camera.center + moved, first.camera.center, atol=1e-8)


def test_options_out_of_range(tmp_path: Path) -> None:
    for options in ({"downscale": 0.5}, {"downscale": float("nan")}, {"test_every": 1}, {"test_every": -8}):
        with pytest.raises(UsageError):
            load(TinyScene().write(tmp_path), **options)


def test_images_that_do_not_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = TinyScene().write(tmp_path)
    monkeypatch.setattr(module, "memory_bytes", lambda: (1 << 40, 1000))
    with pytest.raises(ResourceError, match="Shrink them 4 times more"):
        load(scene)


def test_decoding_counts_as_memory_where_it_cannot_be_reduced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1024 x 768 and used at 64 x 48: decoded whole if they are PNG, at an eighth if JPEG."""
    scene = TinyScene(cameras=[(1, "PINHOLE", 1024, 768, (900.0, 900.0, 512.0, 384.0))])
    scene.images = [(i, (1.0, 0, 0, 0), (i, 0, 4), 1, f"{i}.png", []) for i in range(1, 4)]
    folder = scene.write(tmp_path)
    monkeypatch.setattr(module, "memory_bytes", lambda: (1 << 40, 1 << 20))
    with pytest.raises(ResourceError, match=r"Decoding the photographs needs .* as JPEG"):
        load(folder, downscale=16)
    for path in (folder / "images").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    assert len(load(folder, downscale=16).train) == 3


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the photographs that have been decoded."""
    names: list[str] = []
    original = photos.decode

    def counting(path: Path, *rest: object) -> np.ndarray:
        names.append(path.name)
        return original(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(photos, "decode", counting)
    return names


def wait_for_prefetching() -> None:
    for thread in threading.enumerate():
        if thread.name == "gsplat-decode":
            thread.join(10)


def test_prefetch_decodes_everything_once(tmp_path: Path, decoded: list[str]) -> None:
    scene = many_images(12).write(tmp_path)
    data = Dataset.load(scene)
    images = [view.image() for view in [*data.train, *data.test]]  # while the threads are at it
    wait_for_prefetching()
    assert sorted(decoded) == [f"{i:02}.png" for i in range(12)]
    assert len(images) == 12


def test_prefetch_decodes_test_views_too(tmp_path: Path, decoded: list[str]) -> None:
    scene = many_images(9).write(tmp_path)
    data = Dataset.load(scene)
    data.prefetch()
    wait_for_prefetching()
    assert len(data.test) > 0
    assert sorted(decoded) == [f"{i:02}.png" for i in range(9)]


def test_coverage_is_that_of_the_training_views(tmp_path: Path) -> None:
    data = load(many_images(9).write(tmp_path))
    assert len(data.coverage) == len(data.train) != len(data.test)
    for view, covered in zip(data.train, data.coverage, strict=True):
        expected = coverage(view.camera, data.points.xyz.double().numpy())
        np.testing.assert_array_equal(covered.open, expected.open)


def test_a_file_that_changes_after_loading_is_an_error(tmp_path: Path) -> None:
    scene = many_images(3).write(tmp_path)
    data = load(scene)
    Image.new("RGB", (8, 8)).save(scene / "images/00.png")
    with pytest.raises(DataError, match=r"00\.png.*changed its size"):
        data.train[0].image()


def test_the_input_folder_is_never_written_to(tmp_path: Path) -> None:
    scene = TinyScene()
    scene.cameras[0] = (1, "OPENCV", 32, 24, (30.0, 31.0, 16.0, 12.0, 0.1, 0.0, 0.0, 0.0))
    folder = scene.write(tmp_path / "scene")

    def state() -> list[tuple[str, int]]:
        return sorted((str(path), os.stat(path).st_mtime_ns) for path in folder.rglob("*"))

    before = state()
    for view in load(folder, downscale=2).train:
        view.image()
    assert state() == before


@pytest.mark.parametrize(
    ("name", "train", "test", "size"),
    [("fox", 43, 7, (538, 960)), ("tabletop", 36, 6, (626, 469)), ("tabletop_distorted", 36, 6, None)],
)
def test_real_scenes(name: str, train: int, test: int, size: tuple[int, int] | None) -> None:
    data = load(real_scene(name), test_every=8)
    assert (len(data.train), len(data.test)) == (train, test)
    assert data.warnings == []
    view = data.train[0]
    assert view.image().shape == (view.camera.height, view.camera.width, 3)
    if size is not None:
        assert (view.camera.width, view.camera.height) == size


def test_undistorted_cameras_see_the_points_where_the_pinhole_scene_does() -> None:
    """tabletop is tabletop_distorted after COLMAP's undistorter: equal rays must have equal colours."""
    ours, theirs = load(real_scene("tabletop_distorted")), load(real_scene("tabletop"))
    images = {image.name: image for image in read_model(real_scene("tabletop")).images}
    for a, b in list(zip(ours.train, theirs.train, strict=True))[::10]:
        assert a.name == b.name
        np.testing.assert_allclose(a.camera.viewmat, b.camera.viewmat, atol=1e-9)
        # Every keypoint of theirs, taken to our image by its ray.
        theirs_at = images[a.name].keypoints
        rays = (theirs_at - b.camera.K[:2, 2]) / np.diag(b.camera.K)[:2]
        ours_at = rays * np.diag(a.camera.K)[:2] + a.camera.K[:2, 2]
        colors = []
        for view, pixels in ((a, ours_at), (b, theirs_at)):
            limits = np.array([view.camera.width, view.camera.height])
            grid = torch.from_numpy(2 * pixels / limits - 1).float()[None, None]
            image = view.image().permute(2, 0, 1)[None].float()
            sampled = torch.nn.functional.grid_sample(image, grid, align_corners=False)
            colors.append(sampled[0, :, 0].T.numpy())
        inside = (ours_at > 1).all(axis=1) & (ours_at < [a.camera.width - 1, a.camera.height - 1]).all(axis=1)
        assert inside.mean() > 0.98
        difference = abs(colors[0] - colors[1])[inside].mean()
        shifted = abs(colors[0][1:] - colors[1][:-1])[inside[1:]].mean()  # colours of unrelated keypoints
        assert difference < 5 < shifted
