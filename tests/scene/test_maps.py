"""Maps of numbers are found beside photographs, read in every format, and follow their photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_scene import TinyScene

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset, View
from gsplat_core.scene.depth_maps import read_depth_map
from gsplat_core.scene.lens import Lens
from gsplat_core.scene.map_arrays import read_map
from gsplat_core.scene.map_files import find_maps
from gsplat_core.scene.normal_maps import read_normal_map

WIDTH, HEIGHT = 32, 24
DEPTHS = np.arange(1, WIDTH * HEIGHT + 1, dtype=np.float32).reshape(HEIGHT, WIDTH)


def view_of(tmp_path: Path, lens: tuple | None = None, **options: object) -> View:
    scene = TinyScene()
    if lens is not None:
        scene.cameras[0] = lens
    pose = (0.9, 0.1, 0.2, 0.3), (0.0, 0, 4)
    scene.images = [(number, *pose, 1, name, []) for number, name in ((1, "a.png"), (2, "b.png"))]
    folder = scene.write(tmp_path / "scene")
    return Dataset.load(folder, prefetch=False, test_every=0, **options).train[0]


def colmap_map(values: np.ndarray) -> bytes:
    """As COLMAP's scripts write one: the size, and numbers in Fortran's order of (x, y, channel)."""
    values = values[..., None] if values.ndim == 2 else values
    height, width, channels = values.shape
    body = np.transpose(values, (1, 0, 2)).reshape(-1, order="F").astype("<f4")
    return f"{width}&{height}&{channels}&".encode() + body.tobytes()


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".bin":
        path.write_bytes(colmap_map(values))
    else:
        Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("a.npy", DEPTHS),
        ("a.npy", DEPTHS.astype(np.int64)),
        ("a.npy", DEPTHS[None].astype(np.float64)),
        ("a.npy", DEPTHS[..., None]),
        ("a.tif", DEPTHS),
        ("a.tif", DEPTHS.astype(np.uint16)),
        ("a.png", DEPTHS.astype(np.uint16)),
        ("a.jpg.geometric.bin", DEPTHS),
    ],
)
def test_depths_are_read_from_every_format(tmp_path: Path, name: str, values: np.ndarray) -> None:
    assert np.array_equal(read_map(save(tmp_path / name, values), 1), DEPTHS)


@pytest.mark.parametrize("name", ["a.npy", "a.jpg.geometric.bin"])
def test_normals_are_read_from_every_format(tmp_path: Path, name: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32)
    assert np.array_equal(read_map(save(tmp_path / name, vectors), 3), vectors)
    np.save(tmp_path / "b.npy", np.moveaxis(vectors, 2, 0))
    assert np.array_equal(read_map(tmp_path / "b.npy", 3), vectors)


def test_maps_are_called_as_photographs(tmp_path: Path) -> None:
    names = ["a.jpg", "sub/a.jpg", "images/b.png", "c.png", "d.png", "e.png"]
    for name in ("a.png", "a.npy", "sub/a.tif", "b.npy", "C_depth.NPY", "d.png.geometric.bin", "x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_maps(tmp_path, names, "depth")
    assert {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()} == {
        "a.jpg": "a.npy", "sub/a.jpg": "sub/a.tif", "images/b.png": "b.npy", "c.png": "C_depth.NPY",
        "d.png": "d.png.geometric.bin",
    }  # fmt: skip


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.*does not exist"):
        find_maps(tmp_path / "nowhere", ["a.png"], "depth")
    with pytest.raises(DataError, match=r"it is empty.*'a\.png'.*Call its map 'a\.npy'"):
        find_maps(tmp_path, ["a.png"], "depth")
    (tmp_path / "a.npy").touch()
    with pytest.raises(DataError, match=r"fits two photographs, 'x/a\.png' and 'y/a\.png'"):
        find_maps(tmp_path, ["x/a.png", "y/a.png"], "depth")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.exr", b"", r"OpenEXR is not read.*Save the numbers as \.npy"),
        ("a.npy", b"\x93NUMPY", "cannot be read"),
        ("a.npy", np.array([{}], dtype=object), "cannot be read.*Save it again"),
        ("a.npy", np.zeros((4, 4), np.complex64), "no array of numbers"),
        ("a.npy", np.zeros(4), "holds 4 numbers, and not height x width"),
        ("a.npy", np.zeros((4, 4, 3)), "holds 4 x 4 x 3 numbers"),
        ("a.png", np.zeros((4, 4, 3), np.uint8), "PNG of mode RGB.*greyscale of 16 bits"),
        ("a.geometric.bin", b"12&x&1&", "does not start with a size.*dense/stereo"),
        ("a.geometric.bin", b"2&2&1&1234", "has 4 bytes for 2 x 2 pixels.*cut off"),
    ],
)
def test_files_that_hold_something_else_are_refused(
    tmp_path: Path, name: str, content: bytes | np.ndarray, said: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save(path, content)
    with pytest.raises(DataError, match=said) as caught:
        read_map(path, 1)
    assert caught.value.path == str(path)


def test_depths_follow_their_photograph_and_are_never_averaged(tmp_path: Path) -> None:
    view = view_of(tmp_path, downscale=2)
    blocks = np.repeat(np.repeat(DEPTHS[::2, ::2], 2, 0), 2, 1)
    for values in (blocks, blocks[::2, ::2], np.kron(blocks, np.ones((3, 3), np.float32))):
        assert np.array_equal(read_depth_map(save(tmp_path / "a.npy", values), view), blocks[::2, ::2])


def test_depths_are_undistorted_as_their_photograph(tmp_path: Path) -> None:
    lens = (1, "OPENCV", WIDTH, HEIGHT, (30.0, 31.0, 16.0, 12.0, -0.2, 0.02, 0.0, 0.0))
    view = view_of(tmp_path, lens)
    found = read_depth_map(save(tmp_path / "a.npy", DEPTHS), view)
    camera = view.camera
    middle = np.array([[(camera.width / 2 - camera.K[0, 2]) / camera.K[0, 0], 0.1]])
    original = view.photo.shot.lens
    assert isinstance(original, Lens)
    x, y = np.floor(original.distort(middle)[0]).astype(int)
    u, v = np.floor((middle * np.diag(camera.K)[:2] + camera.K[:2, 2])[0]).astype(int)
    assert found.shape == (camera.height, camera.width)
    assert abs(found[v, u] - DEPTHS[y, x]) <= WIDTH + 1  # a pixel beside it, at most


def test_zero_and_what_is_no_number_is_not_known(tmp_path: Path) -> None:
    view = view_of(tmp_path)
    values = DEPTHS.copy()
    values[0, :3] = 0, np.nan, np.inf
    found = read_depth_map(save(tmp_path / "a.npy", values), view, scale=2.0)
    assert np.isnan(found[0, :3]).all()
    assert np.array_equal(found[1:], 2 * DEPTHS[1:])
    millimetres = read_depth_map(save(tmp_path / "b.png", DEPTHS.astype(np.uint16)), view)
    assert np.array_equal(millimetres, DEPTHS * np.float32(0.001))


def test_depths_that_say_nothing_and_those_of_another_shape_are_refused(tmp_path: Path) -> None:
    view = view_of(tmp_path)
    for nothing in (0, np.nan):
        path = save(tmp_path / "a.npy", np.full((HEIGHT, WIDTH), nothing, np.float32))
        with pytest.raises(DataError, match=r"a\.npy: no pixel of this depth map is known.*remove it"):
            read_depth_map(path, view)
    with pytest.raises(DataError, match=r"is 24 x 32 pixels, but its photograph is 32 x 24"):
        read_depth_map(save(tmp_path / "a.npy", DEPTHS.T), view)


@pytest.mark.parametrize("frame", ["opencv", "opengl", "world"])
def test_normals_are_turned_into_the_world(tmp_path: Path, frame: str) -> None:
    view = view_of(tmp_path)
    rotation = view.camera.viewmat[:3, :3]
    random = np.random.default_rng(0).normal(0, 0.3, (HEIGHT, WIDTH, 3)) - [0, 0, 1.5]
    seen = random / np.linalg.norm(random, axis=-1, keepdims=True)  # in the camera, towards it
    given = {"opencv": seen, "opengl": seen * [1, -1, -1], "world": seen @ rotation}[frame]
    world = seen @ rotation
    given[0, 0] = 0
    found = read_normal_map(save(tmp_path / "a.npy", 0.99 * given), view, frame)
    assert np.allclose(found.reshape(-1, 3)[1:], world.reshape(-1, 3)[1:], atol=1e-6)
    assert not found[0, 0].any()
    colors = np.round((given + 1) / 2 * 255).astype(np.uint8)
    found = read_normal_map(save(tmp_path / "a.png", colors), view, frame)
    assert np.abs(found - world)[1:].max() < 0.02
    wrong = "opengl" if frame != "opengl" else "opencv"
    if frame != "world":
        with pytest.raises(DataError, match=r"look away from the camera.*--set normals\.frame="):
            read_normal_map(tmp_path / "a.png", view, wrong)


def test_normals_that_say_nothing_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", np.full((HEIGHT, WIDTH, 3), np.nan))
    with pytest.raises(DataError, match="no pixel of this normal map is known"):
        read_normal_map(path, view_of(tmp_path), "opencv")
