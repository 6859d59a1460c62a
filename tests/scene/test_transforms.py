"""transforms.json: conventions, defaults, and errors that give the JSON path."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transforms_files import document, write

from gsplat_core.errors import DataError
from gsplat_core.scene import transforms
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.transforms import read_transforms


def test_pose_and_intrinsics(tmp_path: Path) -> None:
    shot = read_transforms(write(tmp_path, document())).shots[0]
    # A point 5 in front of the camera, 1 to the right and 2 up: in COLMAP's axes (1, -2, 5).
    np.testing.assert_allclose(shot.viewmat @ [2, 4, -2, 1], [1, -2, 5, 1], atol=1e-12)
    np.testing.assert_allclose(shot.lens.K, [[40, 0, 15], [0, 41, 11], [0, 0, 1]])
    assert shot.name == "images/0.png"
    assert shot.lens.is_pinhole


def test_a_folder_with_transforms_json_is_a_dataset(tmp_path: Path) -> None:
    write(tmp_path, document(4))
    data = Dataset.load(tmp_path, test_every=2, prefetch=False)
    assert [view.name for view in data.test] == ["images/0.png", "images/2.png"]
    assert data.train[0].image()[0, 0].tolist() == [1, 0, 0]
    (tmp_path / "transforms.json").rename(tmp_path / "other.json")
    assert len(Dataset.load(tmp_path / "other.json", test_every=0, prefetch=False).train) == 4


def test_field_of_view_and_endings_as_in_synthetic_scenes(tmp_path: Path) -> None:
    content = document(2)
    for key in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
        del content[key]
    content["camera_angle_x"] = 2 * math.atan(0.5)
    for frame in content["frames"]:
        frame["file_path"] = frame["file_path"].removesuffix(".png")
    write(tmp_path, content)
    data = Dataset.load(tmp_path, test_every=0, prefetch=False)
    np.testing.assert_allclose(data.train[0].camera.K, [[32, 0, 16], [0, 32, 12], [0, 0, 1]])


def test_three_rows_are_completed_and_frames_override(tmp_path: Path) -> None:
    content = document()
    content["frames"][1]["transform_matrix"].pop()
    content["frames"][1]["fl_x"] = 50.0
    shots = read_transforms(write(tmp_path, content)).shots
    np.testing.assert_allclose(shots[1].viewmat[:3, :3], shots[0].viewmat[:3, :3])
    assert [shot.lens.focal[0] for shot in shots] == [40, 50, 40]


@pytest.mark.parametrize(
    ("top", "model"),
    [
        ({"camera_model": "OPENCV", "k1": 0.1, "p2": 0.01, "k3": 0.02}, "FULL_OPENCV"),
        ({"camera_model": "OPENCV_FISHEYE", "k1": 0.1}, "OPENCV_FISHEYE"),
        ({"is_fisheye": True, "k1": 0.1}, "OPENCV_FISHEYE"),
        ({"camera_model": "PINHOLE"}, "PINHOLE"),
    ],
)
def test_distortion(tmp_path: Path, top: dict, model: str) -> None:
    lens = read_transforms(write(tmp_path, document(**top))).shots[0].lens
    assert lens.model.name == model
    assert lens.is_pinhole == (model == "PINHOLE")
    if model == "FULL_OPENCV":
        assert lens.coefficients == (0.1, 0, 0, 0.01, 0.02, 0, 0, 0)


def test_one_bad_frame_costs_itself(tmp_path: Path) -> None:
    content = document(6)
    content["frames"][1]["transform_matrix"][0][0] = float("nan")
    content["frames"][3]["k6"] = 0.1
    capture = read_transforms(write(tmp_path, content))
    assert [shot.name for shot in capture.shots] == [f"images/{i}.png" for i in (0, 2, 4, 5)]
    assert "2 of 6 frames cannot be used and are left out" in capture.warnings[0]
    assert "first frames[1].transform_matrix[0][0]: must be finite" in capture.warnings[0]
    for i in (0, 4):
        content["frames"][i]["transform_matrix"] = []
    with pytest.raises(DataError, match=r"frames\[0\].transform_matrix"):
        read_transforms(write(tmp_path, content))


@pytest.mark.parametrize(
    "name",
    [
        "./images/0",
        "images\\0.png",
        ".\\images\\0",
        "images//0.png",
        "images/../images/0",
        "images/./0",
    ],
)
def test_names_are_found_however_they_are_written(tmp_path: Path, name: str) -> None:
    content = document()
    content["frames"][0]["file_path"] = name
    capture = read_transforms(write(tmp_path, content))
    assert capture.shots[0].name == "images/0.png"


POINTS = """ply
format ascii 1.0
element vertex 2
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
end_header
1 2 3 10 20 30
-1 0 0.5 255 0 0
"""


def test_points_of_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "cloud.ply").write_text(POINTS)
    applied = {"applied_transform": [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]], "applied_scale": 0.5}
    capture = read_transforms(write(tmp_path, document(ply_file_path="./cloud.ply", **applied)))
    assert capture.xyz.tolist() == [[1, 2, 3], [-1, 0, 0.5]]  # poses and points are in the same coordinates
    assert capture.rgb.tolist() == [[10, 20, 30], [255, 0, 0]]
    assert capture.warnings == []


def test_points_that_are_missing_or_broken(tmp_path: Path) -> None:
    warnings = read_transforms(write(tmp_path, document(ply_file_path="cloud.ply"))).warnings
    assert "its points, 'cloud.ply', are not there" in warnings[0]
    assert "training starts from random ones" in warnings[1]
    (tmp_path / "sparse_pc.ply").write_text(POINTS)
    capture = read_transforms(write(tmp_path, document()))
    assert len(capture.xyz) == 2
    assert "sparse_pc.ply are used" in capture.warnings[0]
    (tmp_path / "cloud.ply").write_text("solid cloud")
    with pytest.raises(DataError, match=r"cloud\.ply: not a PLY file"):
        read_transforms(write(tmp_path, document(ply_file_path="cloud.ply")))
    with pytest.raises(DataError, match=r"\(ply_file_path\): .*below the file's folder"):
        read_transforms(write(tmp_path, document(ply_file_path="../cloud.ply")))


def test_duplicate_frames_are_left_out(tmp_path: Path) -> None:
    content = document()
    content["frames"][2]["file_path"] = "images/0.png"
    capture = read_transforms(write(tmp_path, content))
    assert len(capture.shots) == 2
    assert "frames[2] names 'images/0.png' a second time" in capture.warnings[0]


def changed(keys: list[str | int], value: Any) -> dict[str, Any]:
    content: Any = document()
    target = content
    for key in keys[:-1]:
        target = target[key]
    if value is None:
        del target[keys[-1]]
    else:
        target[keys[-1]] = value
    return content


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["frames"], [], r"\(frames\): must be a list"),
        (["frames", 1], 5, r"\(frames\[1\]\): must be an object"),
        (["fl_x"], None, r"\(frames\[0\]\): has no focal length"),
        (["fl_x"], float("nan"), r"\(fl_x\): must be finite, not nan"),
        (["fl_x"], "wide", r"\(fl_x\): must be a number, not 'wide'"),
        (["fl_x"], -3, r"\(frames\[0\]\): intrinsics that cannot be: its focal length"),
        (["w"], 0, r"intrinsics that cannot be: its images are 0 x 24"),
        (
            ["camera_model"],
            "ORTHOPHOTO",
            r"\(camera_model\): the camera model 'ORTHOPHOTO' is not supported",
        ),
        (
            ["frames", 2, "file_path"],
            "../secret.png",
            r"\(frames\[2\].file_path\): .*below the file's folder",
        ),
        (["frames", 1, "transform_matrix", 0, 3], 1e300, r"transform_matrix\): has numbers beyond 1e\+15"),
        (["frames", 1, "mask_path"], "x" * 300, r"\(frames\[1\].mask_path\): its name has 300 bytes"),
        (
            ["frames", 1, "file_path"],
            "a\ud800",
            r"file_path\): its name has characters that no",
        ),
        (["frames", 1, "file_path"], "x" * 300, r"\(frames\[1\].file_path\): its name has 300 bytes"),
        (["frames", 2, "file_path"], "/etc/a.png", r"\(frames\[2\].file_path\)"),
        (["frames", 2, "file_path"], None, r"\(frames\[2\].file_path\): must be the image's path"),
        (["frames", 0, "transform_matrix"], None, r"\(frames\[0\].transform_matrix\): must be a matrix"),
        (
            ["frames", 0, "transform_matrix", 1],
            [1, 2],
            r"\(frames\[0\].transform_matrix\[1\]\): must be a row of 4",
        ),
        (
            ["frames", 0, "transform_matrix", 1, 3],
            float("inf"),
            r"\(frames\[0\].transform_matrix\[1\]\[3\]\): must be finite",
        ),
        (["frames", 0, "transform_matrix", 0, 0], -1, r"\(frames\[0\].transform_matrix\): is a reflection"),
        (["frames", 0, "transform_matrix", 0, 0], 2, r"is not a rotation: it scales by 2"),
        (
            ["frames", 0, "transform_matrix", 3],
            [0, 0, 0, 2],
            r"transform_matrix\[3\]\): must be \[0, 0, 0, 1\]",
        ),
    ],
)
def test_errors_give_the_json_path(tmp_path: Path, keys: list[str | int], value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_transforms(write(tmp_path, changed(keys, value)), strict=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "line 1, column 2"),
        (b'{"frames": ' + 5000 * b"9" + b"}", "must be a list"),
        (b"[]", "JSON object"),
        (b"\xff\xfe{", "not"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_files_that_are_not_json(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "transforms.json"
    path.write_bytes(text)
    with pytest.raises(DataError, match=message):
        read_transforms(path)


def test_endings_are_guessed_in_one_order_on_every_machine() -> None:
    """Sets of text have another order in every process."""
    usual, others = transforms._GUESSED_ENDINGS[:6], transforms._GUESSED_ENDINGS[6:]
    assert usual == [".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG"]
    assert others == sorted(others)
    assert {".tif", ".webp"} <= set(others)
