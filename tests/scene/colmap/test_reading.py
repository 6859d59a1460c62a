"""What the reader makes of whole models, binary and text."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_scene import TinyScene

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap import SparseModel, find_models, read_model
from gsplat_core.scene.colmap.text import read_images, read_points


def assert_holds(model: SparseModel, scene: TinyScene) -> None:
    assert {number: (lens.model.name, lens.width, lens.height) for number, lens in model.lenses.items()} == {
        row[0]: row[1:4] for row in scene.cameras
    }
    assert model.lenses[1].K.tolist() == [[30, 0, 16], [0, 31, 12], [0, 0, 1]]
    assert model.lenses[7].K.tolist() == [[25, 0, 8], [0, 25, 10], [0, 0, 1]]
    for image, expected in zip(model.images, scene.images, strict=True):
        assert (image.id, image.camera_id, image.name) == (expected[0], expected[3], expected[4])
        assert image.quaternion.tolist() == list(expected[1])
        assert image.translation.tolist() == list(expected[2])
        rows = [
            (x, y, p) for (x, y), p in zip(image.keypoints.tolist(), image.point_ids.tolist(), strict=True)
        ]
        assert rows == expected[5]
    points = model.points
    assert points.ids.tolist() == [row[0] for row in scene.points]
    assert points.xyz.tolist() == [list(row[1]) for row in scene.points]
    assert points.rgb.tolist() == [list(row[2]) for row in scene.points]
    assert points.errors.tolist() == [row[3] for row in scene.points]
    tracks = [points.tracks[first:last].tolist() for first, last in pairwise(points.track_starts)]
    assert tracks == [[list(pair) for pair in row[4]] for row in scene.points]


@pytest.mark.parametrize("ending", ["bin", "txt"])
def test_every_field_is_read(tmp_path: Path, ending: str) -> None:
    scene = TinyScene()
    scene.write_model(tmp_path / "sparse/0", ending)
    model = read_model(tmp_path)
    assert model.warnings == []
    assert_holds(model, scene)


@pytest.mark.parametrize("place", ["sparse/0", "sparse/1", "sparse", "colmap/sparse/0", "."])
def test_places_where_a_model_may_be(tmp_path: Path, place: str) -> None:
    TinyScene().write_model(tmp_path / place)
    assert find_models(tmp_path) == [tmp_path / place]
    assert len(read_model(tmp_path).images) == 3


def test_newer_rig_files_are_ignored(tmp_path: Path) -> None:
    folder = TinyScene().write_model(tmp_path / "sparse/0")
    (folder / "rigs.bin").write_bytes(b"\xff" * 40)
    (folder / "frames.bin").write_bytes(b"")
    assert read_model(tmp_path).warnings == []


def test_largest_of_several_models_is_taken_and_can_be_overridden(tmp_path: Path) -> None:
    small = TinyScene()
    small.images = small.images[:2]
    small.write_model(tmp_path / "sparse/0")
    TinyScene().write_model(tmp_path / "sparse/1", "txt")
    model = read_model(tmp_path)
    assert model.folder.name == "1"
    assert "0 (2 images), 1 (3 images)" in model.warnings[0]
    assert len(read_model(tmp_path, model="0").images) == 2
    assert len(read_model(tmp_path, model=tmp_path / "sparse/0").images) == 2
    with pytest.raises(DataError, match=r"no model 'best'.*sparse/0.*sparse/1"):
        read_model(tmp_path, model="best")


def test_a_damaged_stray_model_does_not_hide_the_good_one(tmp_path: Path) -> None:
    TinyScene().write_model(tmp_path / "sparse/0")
    stray = TinyScene().write_model(tmp_path / "sparse/1")
    (stray / "images.bin").write_bytes(b"\xff" * 100)  # announces 2^64 - 1 images
    assert read_model(tmp_path).folder.name == "0"


def test_text_may_have_comments_blank_lines_carriage_returns_and_names_with_spaces(tmp_path: Path) -> None:
    folder = TinyScene().write_model(tmp_path / "sparse/0", "txt")
    cameras = (folder / "cameras.txt").read_bytes()
    (folder / "cameras.txt").write_bytes(b"\r\n# a comment\r\n\r\n" + cameras.replace(b"\n", b"\r\n"))
    images = (folder / "images.txt").read_bytes()
    (folder / "images.txt").write_bytes(images.replace(b"b.png", b"my photo 1.png"))
    model = read_model(tmp_path)
    assert model.warnings == []
    assert model.images[0].name == "my photo 1.png"


@pytest.mark.parametrize("ending", ["bin", "txt"])
def test_names_that_are_not_utf8_keep_their_bytes(tmp_path: Path, ending: str) -> None:
    folder = TinyScene().write_model(tmp_path / "sparse/0", ending)
    images = folder / f"images.{ending}"
    images.write_bytes(images.read_bytes().replace(b"b.png", b"\xe9.png"))
    name = read_model(tmp_path).images[0].name
    assert name.encode("utf-8", "surrogateescape") == b"\xe9.png"


def test_text_is_the_same_in_pieces_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = TinyScene()
    folder = scene.write_model(tmp_path, "txt")
    longest = max(len(line) for path in folder.iterdir() for line in path.read_bytes().split(b"\n"))
    for size in range(longest, longest + 40):
        monkeypatch.setattr("gsplat_core.scene.colmap.text._LONGEST_LINE", size)
        assert_holds(read_model(folder), scene)
    monkeypatch.setattr("gsplat_core.scene.colmap.text._LONGEST_LINE", longest - 1)
    with pytest.raises(DataError, match=r"line \d+\): more than \d+ bytes"):
        read_model(folder)


numbers = st.floats(-1e6, 1e6)
ids = st.integers(0, 2**31 - 1)


@settings(max_examples=40, deadline=None)
@given(
    points=st.lists(
        st.tuples(
            st.integers(0, 2**62),
            st.tuples(numbers, numbers, numbers),
            st.tuples(*[st.integers(0, 255)] * 3),
            numbers,
            st.lists(st.tuples(ids, ids), max_size=4),
        ),
        max_size=6,
    ),
    keypoints=st.lists(st.tuples(numbers, numbers, st.integers(-1, 2**62)), max_size=6),
)
def test_any_numbers_survive_text(
    tmp_path_factory: pytest.TempPathFactory, points: list, keypoints: list
) -> None:
    scene = TinyScene(points=points)
    scene.images[0] = (*scene.images[0][:5], keypoints)
    folder = scene.write_model(tmp_path_factory.mktemp("model"), "txt")
    warnings: list[str] = []
    read = read_points(folder / "points3D.txt", warnings)
    assert read.xyz.tolist() == [list(row[1]) for row in points]
    assert read.ids.tolist() == [row[0] for row in points]
    assert read.tracks.tolist() == [list(pair) for row in points for pair in row[4]]
    image = read_images(folder / "images.txt", warnings)[0]
    np.testing.assert_array_equal(image.keypoints, np.array([row[:2] for row in keypoints]).reshape(-1, 2))
    assert image.point_ids.tolist() == [row[2] for row in keypoints]
    assert warnings == []


@settings(max_examples=150, deadline=None)
@given(junk=st.binary(max_size=200), at=st.integers(0, 400), drop=st.integers(0, 50), which=st.integers(0, 2))
@pytest.mark.parametrize("ending", ["bin", "txt"])
def test_any_edit_of_a_file_reads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, ending: str, junk: bytes, at: int, drop: int, which: int
) -> None:
    folder = tmp_path_factory.mktemp("model")
    for index, (name, data) in enumerate(TinyScene().files(ending).items()):
        (folder / name).write_bytes(data[:at] + junk + data[at + drop :] if index == which else data)
    with contextlib.suppress(DataError):
        assert len(read_model(folder).images) >= 2
