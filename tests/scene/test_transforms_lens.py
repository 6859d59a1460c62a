"""Lenses of transforms.json: every coefficient is used, or refused by its name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transforms_files import document, write

from gsplat_core.errors import DataError
from gsplat_core.scene.dataset import Dataset
from gsplat_core.scene.lens import Lens
from gsplat_core.scene.transforms import read_transforms


def lens_of(folder: Path, **top: Any) -> Lens:
    return read_transforms(write(folder, document(**top))).shots[0].lens


def test_a_fourth_radial_term_as_nerfstudio_has_it(tmp_path: Path) -> None:
    """The factor is 1 + k1 r^2 + k2 r^4 + k3 r^6 + k4 r^8, in the distorted direction."""
    lens = lens_of(tmp_path, k1=-0.05, k2=0.01, k3=0.02, k4=0.4, p1=0.001, p2=-0.002)
    x, y = 0.3, -0.2
    r2 = x * x + y * y
    factor = 1 - 0.05 * r2 + 0.01 * r2**2 + 0.02 * r2**3 + 0.4 * r2**4
    bent = [
        x * factor + 2 * 0.001 * x * y - 0.002 * (r2 + 2 * x * x),
        y * factor - 2 * 0.002 * x * y + 0.001 * (r2 + 2 * y * y),
    ]
    np.testing.assert_allclose(lens.distort(np.array([x, y])), np.array(bent) * [40, 41] + [15, 11])
    np.testing.assert_allclose(lens.undistort(lens.distort(np.array([x, y]))), [x, y], atol=1e-12)
    # The same as one list, and in any of the perspective models.
    params = [-0.05, 0.01, 0.02, 0.4, 0.001, -0.002]
    assert lens_of(tmp_path, distortion_params=params, camera_model="PINHOLE") == lens


@pytest.mark.parametrize(
    "model", ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "opencv"]
)
def test_perspective_models_are_all_the_same(tmp_path: Path, model: str) -> None:
    lens = lens_of(tmp_path, camera_model=model, k1=0.1, p1=0.01)
    assert lens == lens_of(tmp_path, k1=0.1, p1=0.01)
    assert not lens.is_pinhole


def test_the_rational_model_has_its_own_name(tmp_path: Path) -> None:
    lens = lens_of(tmp_path, camera_model="FULL_OPENCV", k1=0.1, k4=0.2, k6=0.3)
    assert lens.model.name == "FULL_OPENCV"
    assert lens.coefficients == (0.1, 0, 0, 0, 0, 0.2, 0, 0.3)


def test_a_frame_has_its_own_distortion(tmp_path: Path) -> None:
    content = document(k1=0.1, k4=0.2)
    content["frames"][1] |= {"k1": 0.3, "k4": 0.0}
    lenses = [shot.lens for shot in read_transforms(write(tmp_path, content)).shots]
    assert lenses[0].coefficients == (0.1, 0, 0, 0.2, 0, 0)
    assert lenses[1].coefficients == (0.3, 0, 0, 0, 0, 0, 0, 0)
    assert lenses[2] == lenses[0]


@pytest.mark.parametrize(
    ("key", "model"),
    [
        *((key, "OPENCV") for key in ("k5", "k6", "b1", "b2", "s1", "s4", "sx1", "skew", "tau_x", "omega")),
        *((key, "OPENCV_FISHEYE") for key in ("p1", "p2", "k5", "sy1")),
        ("ftheta_p0", "OPENCV"),
        ("k1", "FOV"),
    ],
)
def test_distortion_that_the_model_does_not_have_is_refused_by_name(
    tmp_path: Path, key: str, model: str
) -> None:
    match = rf"\({key}\): {key} = 0.01 has no meaning .* camera model {model}.*Undistort"
    with pytest.raises(DataError, match=match):
        lens_of(tmp_path, **{key: 0.01, "camera_model": model})
    assert lens_of(tmp_path, **{key: 0.0, "camera_model": model})  # 0 says nothing


def test_a_rolling_shutter_is_refused(tmp_path: Path) -> None:
    assert lens_of(tmp_path, rolling_shutter=[0, 0, 0, 0]).is_pinhole
    with pytest.raises(DataError, match="rolling_shutter"):
        lens_of(tmp_path, rolling_shutter=[0, 0, 0.2, 0])


@pytest.mark.parametrize(
    ("top", "message"),
    [
        ({"camera_model": "FISHEYE624"}, r"\(camera_model\): the camera model 'FISHEYE624' is not supported"),
        ({"camera_model": "ORTHOPHOTO"}, r"\(camera_model\): the camera model 'ORTHOPHOTO' is not supported"),
        ({"camera_model": "KANNALA"}, r"\(camera_model\): 'KANNALA' is not a camera model \(supported are "),
        ({"camera_model": 5}, r"\(camera_model\): '5' is not a camera model"),
        ({"k1": 1e300}, r"intrinsics that cannot be: FULL_OPENCV with coefficients up to 1e\+300"),
        ({"k4": "much"}, r"\(k4\): must be a number, not 'much'"),
        ({"distortion_params": [0.1]}, r"\(distortion_params\): must be the list k1, k2, k3, k4, p1, p2"),
    ],
)
def test_lenses_that_cannot_be(tmp_path: Path, top: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        lens_of(tmp_path, **top)


def test_distortion_that_leaves_no_image_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, document(k1=1e5))
    with pytest.raises(DataError, match="leaves nothing to undistort"):
        Dataset.load(path.parent, prefetch=False)


def test_field_of_view_in_degrees_as_instant_ngp_has_it(tmp_path: Path) -> None:
    content = document(x_fov=math.degrees(2 * math.atan(0.5)), y_fov=math.degrees(2 * math.atan(0.25)))
    del content["fl_x"], content["fl_y"]
    np.testing.assert_allclose(read_transforms(write(tmp_path, content)).shots[0].lens.focal, [32, 48])


def test_a_panorama_is_of_the_whole_sphere(tmp_path: Path) -> None:
    """Whether nerfstudio's focal lengths are there or not."""
    whole = {"camera_model": "EQUIRECTANGULAR", "w": 32, "h": 16}
    lens = lens_of(tmp_path, **whole, fl_x=16.0, fl_y=16.0, cx=16.0, cy=8.0)
    assert lens.focal == pytest.approx((16 / math.pi, 16 / math.pi))
    assert lens.center == (16, 8)
    assert not lens.is_pinhole
    without = document(**whole)
    for key in ("fl_x", "fl_y", "cx", "cy"):
        del without[key]
    assert read_transforms(write(tmp_path, without)).shots[0].lens == lens


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"h": 24}, r"frames\[0\]\): a panorama all around is twice as wide as high, not 32 x 24"),
        ({"fl_x": 40.0}, r"fl_x\): must be 16 in a panorama of 32 x 16 pixels, not 40"),
        ({"cx": 3.0}, r"cx\): must be 16 in a panorama"),
        ({"k1": 0.1}, r"k1\): k1 = 0.1 has no meaning that is known for the camera model EQUIRECTANGULAR"),
    ],
)
def test_what_is_no_panorama_of_the_whole_sphere(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    known = {
        "camera_model": "EQUIRECTANGULAR",
        "w": 32,
        "h": 16,
        "fl_x": 16.0,
        "fl_y": 16.0,
        "cx": 16.0,
        "cy": 8.0,
    }
    with pytest.raises(DataError, match=message):
        lens_of(tmp_path, **known | changes)
