"""What is written as text is read again as it was, and nothing is written by halves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_scene import TinyScene

from gsplat_core.errors import DataError
from gsplat_core.quaternions import rotation_matrix
from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.colmap.model import SparsePoints
from gsplat_core.scene.colmap.write import posed, write_model
from gsplat_core.scene.lens import BROWN, LENS_MODELS, Lens


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    TinyScene().write_model(tmp_path / "sparse/0")
    first = read_model(tmp_path)
    first.images[1] = replace(
        first.images[1], translation=np.array([0.1, 1 / 3, 1e-17]), name="sub folder/\udcff ä.png"
    )
    write_model(tmp_path / "again", first.lenses, first.images, first.points)
    second = read_model(tmp_path / "again")
    assert second.warnings == []
    assert second.lenses == first.lenses
    for written, image in zip(second.images, first.images, strict=True):
        for name, value in vars(image).items():
            np.testing.assert_array_equal(getattr(written, name), value)
    for name, value in vars(first.points).items():
        np.testing.assert_array_equal(getattr(second.points, name), value)


def test_every_lens_of_colmap_is_read_as_it_was_written(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    params = [50.0, 51.0, 32.0, *(0.1 * random.random(9))]
    lenses = {
        number: Lens.from_params(model, 64, 48, params[: len(model.params)])
        for number, model in enumerate(LENS_MODELS)
    }
    images = [posed(number, number, f"{number}.png", np.eye(4)) for number in lenses]
    write_model(tmp_path / "model", lenses, images, SparsePoints.none())
    assert read_model(tmp_path / "model").lenses == lenses


def test_a_pose_becomes_an_image(tmp_path: Path) -> None:
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation_matrix([0.5, -0.1, 0.7, 0.2])
    viewmat[:3, 3] = 1, 2, 3
    image = posed(3, 1, "a.png", viewmat)
    np.testing.assert_allclose(rotation_matrix(image.quaternion), viewmat[:3, :3], atol=1e-15)
    assert image.translation.tolist() == [1, 2, 3]


def test_what_text_cannot_hold_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    TinyScene().write_model(tmp_path / "model", "txt")
    model = read_model(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    for name in ("new\nline.png", " blank.png", ""):
        images = [model.images[0], replace(model.images[1], name=name)]
        with pytest.raises(DataError, match=r"images\.txt.*Rename this photograph"):
            write_model(tmp_path / "model", model.lenses, images, model.points)
    brown = replace(model.lenses[1], model=BROWN, coefficients=(0.0,) * 6)
    with pytest.raises(DataError, match="no camera of the model BROWN"):
        write_model(tmp_path / "model", {1: brown}, model.images, model.points)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
