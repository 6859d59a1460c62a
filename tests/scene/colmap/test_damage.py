"""Damaged models end at once in an error that names the place, or in a warning; never in a hang."""

from __future__ import annotations

import contextlib
import re
import struct
from pathlib import Path

import pytest
from tiny_scene import TinyScene

from gsplat_core.errors import DataError
from gsplat_core.scene.colmap import read_model

pytestmark = pytest.mark.timeout(20)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_binary_file_cut_at_any_byte(tmp_path: Path, name: str) -> None:
    whole = TinyScene().files("bin")
    write(tmp_path, whole)
    for size in range(len(whole[name])):
        write(tmp_path, {name: whole[name][:size]})
        if name == "points3D.bin" and size == 0:
            model = read_model(tmp_path)
            assert len(model.points) == 0
            assert "is empty" in model.warnings[0]
            continue
        with pytest.raises(DataError, match=rf"{name} \(byte \d+, ") as caught:
            read_model(tmp_path)
        assert caught.value.remedy
        assert int(caught.value.place.split()[1].rstrip(",")) <= size


@pytest.mark.parametrize("name", ["cameras.txt", "images.txt", "points3D.txt"])
def test_text_file_cut_at_any_byte(tmp_path: Path, name: str) -> None:
    scene = TinyScene()
    whole = scene.files("txt")
    write(tmp_path, whole)
    # Without its last line break only, images.txt still ends in a complete (empty) line.
    for size in range(len(whole[name]) - 1):
        write(tmp_path, {name: whole[name][:size]})
        with contextlib.suppress(DataError):
            assert read_model(tmp_path).warnings, size


def test_camera_cut_inside_its_record_names_the_camera(tmp_path: Path) -> None:
    scene = TinyScene()
    scene.cameras[1] = (7, "PINHOLE", 16, 20, (25.0, 25.0, 8.0, 10.0))
    files = scene.files("bin")
    files["cameras.bin"] = files["cameras.bin"][:-4]
    with pytest.raises(DataError, match=r"cameras\.bin \(byte 88, camera 1 of 2, parameters of PINHOLE\)"):
        read_model(write(tmp_path, files))


def test_image_cut_inside_its_name_says_so(tmp_path: Path) -> None:
    files = TinyScene().files("bin")
    files["images.bin"] = files["images.bin"][: 8 + 64 + 3]
    # So short that one image announces more than the file can hold; pad the count away.
    files["images.bin"] = struct.pack("<Q", 1) + files["images.bin"][8:] + b"x" * 20
    with pytest.raises(DataError, match=r"byte 72, image 0 of 1, name\): the image's name does not end"):
        read_model(write(tmp_path, files))


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
@pytest.mark.parametrize("count", [2**40, 2**63, 2**64 - 1, 1000])
def test_counts_that_the_file_cannot_hold(tmp_path: Path, name: str, count: int) -> None:
    files = TinyScene().files("bin")
    files[name] = struct.pack("<Q", count) + files[name][8:]
    with pytest.raises(
        DataError, match=rf"{name} \(byte 0, number of .*{count} .* are announced.*hold at most"
    ):
        read_model(write(tmp_path, files))


@pytest.mark.parametrize("length", [2**40, 2**61, 2**64 - 1])
def test_inner_counts_that_the_file_cannot_hold(tmp_path: Path, length: int) -> None:
    files = TinyScene().files("bin")
    points, images = files["points3D.bin"], files["images.bin"]
    files["points3D.bin"] = points[:51] + struct.pack("<Q", length) + points[59:]
    with pytest.raises(DataError, match=r"byte 8, point 0 of 4\): a track of"):
        read_model(write(tmp_path, files))
    files["points3D.bin"] = points
    files["images.bin"] = images[:78] + struct.pack("<Q", length) + images[86:]
    with pytest.raises(DataError, match=r"image 0 of 3, 'b.png', \d+ keypoints"):
        read_model(write(tmp_path, files))


def test_points_missing_or_none_is_a_warning(tmp_path: Path) -> None:
    files = TinyScene().files("bin")
    del files["points3D.bin"]
    assert "is missing" in read_model(write(tmp_path, files)).warnings[0]
    files["points3D.bin"] = struct.pack("<Q", 0)
    assert "lists no points" in read_model(write(tmp_path, files)).warnings[0]


def test_bytes_after_the_last_record_are_a_warning(tmp_path: Path) -> None:
    files = {name: data + b"more" for name, data in TinyScene().files("bin").items()}
    assert [warning.split(": ")[1][:7] for warning in read_model(write(tmp_path, files)).warnings] == [
        "4 bytes"
    ] * 3


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (99, "unknown camera model number 99"),
        (-1, "unknown camera model number -1"),
        ("RAD_TAN_THIN_PRISM_FISHEYE", "camera model RAD_TAN_THIN_PRISM_FISHEYE is not supported"),
        (17, "camera model EQUIRECTANGULAR is not supported"),
    ],
)
def test_unknown_and_unsupported_lens_models_are_refused_by_name(
    tmp_path: Path, model: int | str, message: str
) -> None:
    scene = TinyScene()
    scene.cameras[1] = (7, model, 16, 20, (1.0,) * 16)
    with pytest.raises(
        DataError, match=rf"byte 64, camera 1 of 2, camera id 7\): {message}.*THIN_PRISM.*image_undist"
    ):
        read_model(scene.write_model(tmp_path))


def test_text_lens_models(tmp_path: Path) -> None:
    scene = TinyScene()
    scene.cameras[1] = (7, "EQUIRECTANGULAR", 16, 20, (1.0, 2.0))
    with pytest.raises(
        DataError, match=r"line 3, camera id 7\): camera model EQUIRECTANGULAR is not supported"
    ):
        read_model(scene.write_model(tmp_path, "txt"))
    scene.cameras[1] = (7, "OPENCV", 16, 20, (1.0, 2.0))
    with pytest.raises(
        DataError, match=r"line 3\): OPENCV has 8 parameters \(fx fy cx cy k1 k2 p1 p2\), found 2"
    ):
        read_model(scene.write_model(tmp_path, "txt"), strict=True)
    model = read_model(tmp_path)
    assert "1 of 2 cameras cannot be used" in model.warnings[0]
    assert "1 of 3 images: 'c.png' is left out: camera 7 is not in the model" in model.warnings[1]


nan, inf = float("nan"), float("inf")


@pytest.mark.parametrize("ending", ["bin", "txt"])
@pytest.mark.parametrize(
    ("width", "params", "reason"),
    [
        (16, (nan, 8, 10), "not finite"),
        (16, (25, inf, 10), "not finite"),
        (16, (0, 8, 10), "focal length is 0"),
        (16, (-5, 8, 10), "focal length is -5"),
        (16, (1e300, 8, 10), "focal length is 1e\\+300"),
        (16, (25, -1e300, 10), "principal point is at"),
        (0, (25, 8, 10), "0 x 20 pixels"),
        (8589934594, (25, 8, 10), "8589934594 x 20 pixels"),
    ],
)
def test_impossible_cameras_are_left_out_with_their_images(
    tmp_path: Path, ending: str, width: int, params: tuple, reason: str
) -> None:
    scene = TinyScene()
    scene.cameras[1] = (7, "SIMPLE_PINHOLE", width, 20, tuple(map(float, params)))
    model = read_model(scene.write_model(tmp_path, ending))
    assert [image.name for image in model.images] == ["b.png", "sub/a.png"]
    assert list(model.lenses) == [1]
    assert re.search(reason, model.warnings[0])
    assert "'c.png' is left out: its camera 7 is unusable" in model.warnings[1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({1: (0.0, 0, 0, 0)}, "quaternion has length 0"),
        ({1: (nan, 0, 0, 0)}, "pose has numbers"),
        ({2: (0.0, inf, 0)}, "pose has numbers"),
        ({2: (0.0, 1e300, 0)}, "its position is farther than 1e\\+15"),
        ({3: 99}, "camera 99 is not in the model"),
        ({4: "long/" + 300 * "x" + ".png"}, "its name has 309 bytes"),
        ({4: 9 * (250 * "x" + "/") + "a.png"}, "its name has 2264 bytes"),
        ({4: "b.png"}, "another image has the same name"),
    ],
)
def test_impossible_images_are_left_out(tmp_path: Path, change: dict, reason: str) -> None:
    scene = TinyScene()
    scene.images[1] = tuple(change.get(i, value) for i, value in enumerate(scene.images[1]))
    model = read_model(scene.write_model(tmp_path))
    assert len(model.images) == 2
    assert re.search(f"1 of 3 images: .* is left out: .*{reason}", model.warnings[0])
    with pytest.raises(DataError, match=reason):
        read_model(tmp_path, strict=True)


def test_fewer_than_two_images_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    scene = TinyScene()
    scene.cameras[0] = (1, "PINHOLE", 32, 24, (nan, 31.0, 16.0, 12.0))
    with pytest.raises(
        DataError, match=r"1 usable images of 3, at least 2 .*'b.png' is left out: its camera 1"
    ):
        read_model(scene.write_model(tmp_path))


@pytest.mark.parametrize("bad", [nan, -inf, 1e300])
def test_points_that_are_nowhere_are_left_out(tmp_path: Path, bad: float) -> None:
    scene = TinyScene()
    scene.points[1] = (11, (bad, 0.0, 0.0), (1, 2, 3), 1.0, [(1, 1), (2, 0)])
    model = read_model(scene.write_model(tmp_path))
    assert model.points.ids.tolist() == [10, 12, 13]
    assert model.points.tracks.tolist() == [[1, 0], [2, 0], [1, 2]]
    assert "1 3D points of 4" in model.warnings[0]
    with pytest.raises(DataError, match="1 3D points of 4"):
        read_model(tmp_path, strict=True)


@pytest.mark.parametrize(
    "name", ["../x.png", "a/../../x.png", "/etc/x.png", "C:/x.png", "C:\\x.png", "..\\x.png", "a/.."]
)
def test_names_that_leave_the_image_folder_are_refused(tmp_path: Path, name: str) -> None:
    scene = TinyScene()
    scene.images[1] = (*scene.images[1][:4], name, [])
    with pytest.raises(DataError, match="not a path inside the image folder"):
        read_model(scene.write_model(tmp_path))


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("cameras.txt", "1 PINHOLE 32", "line 1.*found 3 fields"),
        ("cameras.txt", "1 PINHOLE 32 x 1 1 1 1", "line 1.*ID, WIDTH, HEIGHT: expected whole numbers"),
        ("cameras.txt", "1 PINHOLE 32 24 a 1 1 1", "line 1.*parameters of camera 1: expected numbers"),
        ("cameras.txt", f"{10**30} PINHOLE 32 24 1 1 1 1", "line 1.*64 bits"),
        ("images.txt", "1 1 0 0 0 0 0 0 1", "line 1.*found 9 fields"),
        (
            "images.txt",
            "1 1 0 0 0 0 0 0 1 a.png\n2 1 0 0 0 0 0 0 1 b.png",
            "line 2.*triples.*second must be there",
        ),
        ("images.txt", "1 1 0 0 0 0 0 0 1 a.png\n2 3 1.5", "line 2.*POINT3D_ID of the keypoints of image 1"),
        ("points3D.txt", "1 0 0 0 0 0 0 0.5 1", "line 1.*found 9 fields"),
        ("points3D.txt", "1 0 0 0 0 0 256 0.5", r"line 1.*0\.\.255, found \[0, 0, 256\]"),
        ("points3D.txt", "1 0 0 0 0 0 25 0.5 1 1.5", "line 1.*TRACK: expected whole numbers"),
    ],
)
def test_text_errors_name_the_line_and_the_field(tmp_path: Path, name: str, line: str, message: str) -> None:
    files = TinyScene().files("txt")
    files[name] = (line + "\n").encode()
    with pytest.raises(DataError, match=rf"{name} \({message}"):
        read_model(write(tmp_path, files))


@pytest.mark.parametrize(
    ("name", "number", "line", "kept"),
    [
        ("points3D.txt", 2, "11 1.0 zero 0.0 1 2 3 1.0", 3),
        ("points3D.txt", 2, "11 1.0", 3),
        ("points3D.txt", 2, "11 1.0 0 0 1 2 300 1.0", 3),
        ("points3D.txt", 2, "\x00\xff garbage", 3),
        ("cameras.txt", 2, "7 SIMPLE_PINHOLE 16 20 x 8.0 10.0", 2),
        ("cameras.txt", 2, "7 SIMPLE_PINH@LE 16 20 25.0 8.0 10.0", 2),
        ("cameras.txt", 2, "seven", 2),
        ("images.txt", 3, "2 0.8 0 ? 0 0.5 0 4 1 sub/a.png", 2),
        ("images.txt", 3, "2 0.8 0 0.6", 2),
        ("images.txt", 4, "1.0 2.0 10 5", 2),
        ("images.txt", 4, "1.0 2.0 ten", 2),
    ],
)
def test_one_bad_line_costs_its_record(tmp_path: Path, name: str, number: int, line: str, kept: int) -> None:
    files = TinyScene().files("txt")
    lines = files[name].split(b"\n")
    lines[number] = line.encode()
    files[name] = b"\n".join(lines)
    model = read_model(write(tmp_path, files))
    assert len(model.points if name == "points3D.txt" else model.images) == kept
    total = {"points3D.txt": 4, "images.txt": 3, "cameras.txt": 2}[name]
    assert f"1 of {total} {name.split('.')[0].replace('3D', '')} cannot be used" in model.warnings[0]
    assert f"first line {number + 1}" in model.warnings[0]
    assert not any("announces" in warning for warning in model.warnings)
    with pytest.raises(DataError, match=rf"{name} \(line {number + 1}"):
        read_model(tmp_path, strict=True)


def test_a_lost_line_never_makes_keypoints_of_images(tmp_path: Path) -> None:
    scene = TinyScene()
    # Coordinates without a point, so that a line of keypoints could pass for an image.
    scene.images = [
        (i, (1.0, 0, 0, 0), (float(i), 0, 4), 1, f"{i}.png", [(1, 2, 10), (3, 4, 11), (5, 6, 1), (7, 8, 9)])
        for i in range(1, 9)
    ]
    whole = scene.files("txt")["images.txt"].split(b"\n")
    files = scene.files("txt")
    for lost in range(1, 16):
        files["images.txt"] = b"\n".join(whole[:lost] + whole[lost + 1 :])
        model = read_model(write(tmp_path, files))
        record = (lost - 1) // 2 + 1
        assert {image.id for image in model.images} == set(range(1, 9)) - {record}, lost
        assert all(image.keypoints.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]] for image in model.images)
        assert "1 of 8 images cannot be used" in model.warnings[0]


def test_a_file_that_is_mostly_unreadable_is_refused(tmp_path: Path) -> None:
    files = TinyScene().files("txt")
    lines = files["points3D.txt"].split(b"\n")
    files["points3D.txt"] = b"\n".join([lines[0], lines[1], b"bad", b"worse", b"11", b""])
    with pytest.raises(DataError, match=r"points3D.txt \(line 3"):
        read_model(write(tmp_path, files))


def test_what_was_looked_for_and_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_model(tmp_path / "absent")
    with pytest.raises(DataError, match=r"looked for .*sparse/0.*it holds nothing"):
        read_model(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "scan.ply").write_bytes(b"")
    with pytest.raises(DataError, match=r"it holds photos/, scan\.ply"):
        read_model(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        read_model(tmp_path / "scan.ply")
