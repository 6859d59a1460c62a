"""The sample scene that ships with the project is a consistent COLMAP scene, read here without our reader."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from paths import SAMPLE
from PIL import Image

from gsplat_core.quaternions import rotation_matrix

MODEL = SAMPLE / "sparse" / "0"
BUDGET = 4_000_000  # bytes, so that a clone stays light


@dataclass(frozen=True)
class Posed:
    rotation: np.ndarray  # [3,3] world to camera
    translation: np.ndarray  # [3]
    name: str
    pixels: np.ndarray  # [K,2]
    point_ids: np.ndarray  # [K], -1 = none


class Reader:
    def __init__(self, name: str) -> None:
        self.data, self.at = (MODEL / name).read_bytes(), 0

    def take(self, layout: str) -> tuple:
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += struct.calcsize("<" + layout)
        return values

    def word(self) -> str:
        end = self.data.index(b"\0", self.at)
        text = self.data[self.at : end].decode()
        self.at = end + 1
        return text

    def finish(self) -> None:
        assert self.at == len(self.data), "bytes after the last record"


@cache
def camera() -> tuple[int, int, np.ndarray]:
    """Width, height and (fx, fy, cx, cy) of the only camera."""
    reader = Reader("cameras.bin")
    count, camera_id, model, width, height = reader.take("QiiQQ")
    assert (count, camera_id, model) == (1, 1, 1), "one camera, PINHOLE"
    parameters = np.array(reader.take("4d"))
    reader.finish()
    return width, height, parameters


@cache
def images() -> dict[int, Posed]:
    reader = Reader("images.bin")
    found = {}
    for _ in range(reader.take("Q")[0]):
        image_id, *pose, camera_id = reader.take("i7di")
        assert camera_id == 1
        name = reader.word()
        (count,) = reader.take("Q")
        rows = np.frombuffer(reader.data, [("xy", "<f8", 2), ("id", "<i8")], count, reader.at)
        reader.at += rows.nbytes
        found[image_id] = Posed(rotation_matrix(pose[:4]), np.array(pose[4:]), name, rows["xy"], rows["id"])
    reader.finish()
    return found


@cache
def points() -> dict[int, tuple[np.ndarray, np.ndarray, float, list[tuple[int, int]]]]:
    """id -> (xyz, rgb, error, track of (image id, feature index))."""
    reader = Reader("points3D.bin")
    found = {}
    for _ in range(reader.take("Q")[0]):
        point_id, *values, error, length = reader.take("Q3d3BdQ")
        track = [reader.take("ii") for _ in range(length)]
        found[point_id] = (np.array(values[:3]), np.array(values[3:]), error, track)
    reader.finish()
    return found


@cache
def photograph(name: str) -> np.ndarray:
    with Image.open(SAMPLE / "images" / name) as image:
        return np.asarray(image)


def observations() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every entry of every track: camera coordinates [T,3], projection [T,2], feature [T,2] in pixels."""
    _, _, (fx, fy, cx, cy) = camera()
    local, measured = [], []
    for xyz, _, _, track in points().values():
        for image_id, feature in track:
            image = images()[image_id]
            local.append(image.rotation @ xyz + image.translation)
            measured.append(image.pixels[feature])
    local_points = np.array(local)
    projected = local_points[:, :2] / local_points[:, 2:] * [fx, fy] + [cx, cy]
    return local_points, projected, np.array(measured)


def test_it_is_small() -> None:
    shipped = [f for f in SAMPLE.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in shipped) <= BUDGET


def test_every_posed_image_is_there_with_the_size_of_the_camera() -> None:
    width, height, _ = camera()
    names = {image.name for image in images().values()}
    assert 24 <= len(names) <= 40
    assert names == {f.name for f in (SAMPLE / "images").iterdir()}
    for name in names:
        picture = photograph(name)
        assert picture.shape == (height, width, 3)
        assert picture.dtype == np.uint8


def test_poses_are_distinct_rigid_motions_that_look_at_the_table() -> None:
    centres = []
    for image in images().values():
        assert image.rotation @ image.rotation.T == pytest.approx(np.eye(3), abs=1e-9)
        assert np.linalg.det(image.rotation) == pytest.approx(1)
        centre = -image.rotation.T @ image.translation
        away = np.array([0, 0, 0.2]) - centre
        assert image.rotation[2] @ away / np.linalg.norm(away) > np.cos(np.radians(6))
        centres.append(centre)
    gaps = np.linalg.norm(np.array(centres)[:, None] - np.array(centres)[None], axis=-1)
    assert gaps[~np.eye(len(centres), dtype=bool)].min() > 0.2


def test_tracks_and_features_name_each_other() -> None:
    assert 3000 <= len(points()) <= 8000
    matched = 0
    for point_id, (_, _, _, track) in points().items():
        assert len({image_id for image_id, _ in track}) == len(track) >= 3
        assert all(images()[image_id].point_ids[feature] == point_id for image_id, feature in track)
        matched += len(track)
    assert matched == sum(np.count_nonzero(image.point_ids != -1) for image in images().values())


def test_observed_points_are_in_front_and_inside_the_picture() -> None:
    width, height, _ = camera()
    local, _, measured = observations()
    assert local[:, 2].min() > 0.5
    assert ((measured >= 0) & (measured <= [width, height])).all()


def test_reprojection_error_is_below_a_pixel_and_recorded() -> None:
    _, projected, measured = observations()
    errors = np.linalg.norm(projected - measured, axis=1)
    assert 0.1 < errors.mean() < 0.5, "the noise of a good feature detector, not exact either"
    lengths = [len(track) for _, _, _, track in points().values()]
    of_points = np.array([part.mean() for part in np.split(errors, np.cumsum(lengths)[:-1])])
    recorded = np.array([error for _, _, error, _ in points().values()])
    assert of_points.max() < 1
    assert recorded == pytest.approx(of_points, abs=1e-6)


def test_photographs_show_the_points_where_the_model_says() -> None:
    """Colours of points agree with the pixels they project to, and would not with pictures moved a little."""
    width, height, _ = camera()
    _, projected, _ = observations()
    colour = np.array([rgb for _, rgb, _, track in points().values() for _ in track], dtype=float)
    names = [images()[image_id].name for _, _, _, track in points().values() for image_id, _ in track]

    def difference(shift: int) -> float:
        column, row = np.floor(projected).astype(int).T
        column, row = (column + shift).clip(0, width - 1), (row + shift).clip(0, height - 1)
        pixels = np.array(
            [photograph(n)[r, c] for n, r, c in zip(names, row, column, strict=True)], dtype=float
        )
        return float(np.abs(pixels - colour).mean())

    here = difference(0)
    assert here < 20
    assert here < 0.7 * min(difference(-4), difference(4))
