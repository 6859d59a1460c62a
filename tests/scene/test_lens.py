"""Lens equations: inverses, derivatives, limits in which models agree, and COLMAP's own results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from paths import real_scene

from gsplat_core.scene.colmap import read_model
from gsplat_core.scene.lens import LENS_MODEL_BY_NAME, LENS_MODELS, REFUSED_LENS_MODELS, Lens

# Coefficients as calibrations find them.
COEFFICIENTS: dict[str, tuple[float, ...]] = {
    "SIMPLE_PINHOLE": (),
    "PINHOLE": (),
    "SIMPLE_RADIAL": (-0.08,),
    "RADIAL": (-0.3, 0.1),
    "OPENCV": (0.14, -0.3, -0.002, 0.003),
    "OPENCV_FISHEYE": (-0.03, 0.01, -0.004, 0.0005),
    "FULL_OPENCV": (0.5, 0.2, 0.001, -0.002, 0.05, 0.6, 0.3, 0.04),
    "FOV": (0.9,),
    "SIMPLE_RADIAL_FISHEYE": (0.02,),
    "RADIAL_FISHEYE": (0.02, -0.005),
    "THIN_PRISM_FISHEYE": (-0.03, 0.01, 0.001, -0.002, 0.001, -0.0002, 0.002, -0.001),
}


def lens(name: str, coefficients: tuple[float, ...] | None = None) -> Lens:
    model = LENS_MODEL_BY_NAME[name]
    focal = (500.0,) if model.num_focals == 1 else (500.0, 510.0)
    tail = COEFFICIENTS[name] if coefficients is None else coefficients
    return Lens.from_params(model, 640, 480, (*focal, 322.0, 236.0, *tail))


def pixel_grid(step: int = 10) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(0.5, 640, step), np.arange(0.5, 480, step)), axis=-1)


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_distort_inverts_undistort(name: str) -> None:
    pixels = pixel_grid()
    ideal = lens(name).undistort(pixels)
    assert np.isfinite(ideal).all()
    assert np.abs(lens(name).distort(ideal) - pixels).max() < 1e-9


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_undistort_inverts_distort(name: str) -> None:
    ideal = np.stack(np.meshgrid(np.linspace(-0.6, 0.6, 41), np.linspace(-0.5, 0.5, 41)), axis=-1)
    assert np.abs(lens(name).undistort(lens(name).distort(ideal)) - ideal).max() < 1e-9


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_jacobian_is_the_derivative(name: str) -> None:
    ideal = np.random.default_rng(0).uniform(-0.6, 0.6, (50, 2))
    ideal[0] = 0  # where the fisheye formulas are 0 / 0
    step = 1e-6
    columns = []
    for axis in np.eye(2):
        difference = lens(name).distort(ideal + step * axis) - lens(name).distort(ideal - step * axis)
        columns.append(difference / (2 * step) / lens(name).focal)
    np.testing.assert_allclose(lens(name).jacobian(ideal), np.stack(columns, axis=-1), atol=1e-8)


def test_table_is_colmaps() -> None:
    assert [model.id for model in LENS_MODELS] == list(range(11))
    assert [len(model.params) for model in LENS_MODELS] == [3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12]
    assert set(COEFFICIENTS) == set(LENS_MODEL_BY_NAME)


@pytest.mark.parametrize(
    ("name", "coefficients", "other", "other_coefficients"),
    [
        ("SIMPLE_RADIAL", (0.1,), "RADIAL", (0.1, 0.0)),
        ("OPENCV", (0.1, 0.2, 0.01, 0.02), "FULL_OPENCV", (0.1, 0.2, 0.01, 0.02, 0, 0, 0, 0)),
        ("SIMPLE_RADIAL_FISHEYE", (0.1,), "RADIAL_FISHEYE", (0.1, 0.0)),
        ("OPENCV_FISHEYE", (0.1, 0.2, 0.01, 0.02), "THIN_PRISM_FISHEYE", (0.1, 0.2, 0, 0, 0.01, 0.02, 0, 0)),
        ("FOV", (0.0,), "PINHOLE", ()),
        ("FOV", (1e-6,), "PINHOLE", ()),
    ],
)
def test_models_that_coincide(
    name: str, coefficients: tuple[float, ...], other: str, other_coefficients: tuple[float, ...]
) -> None:
    ideal = np.random.default_rng(1).uniform(-0.8, 0.8, (100, 2)) * [1, 500 / 510]
    first, second = lens(name, coefficients), lens(other, other_coefficients)
    for a, b in [(first.distort(ideal), second.distort(ideal))]:
        ours = (a - first.center) / first.focal
        theirs = (b - second.center) / second.focal
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_equidistant_fisheye_and_fov_by_hand() -> None:
    ray = np.array([math.tan(0.7), 0.0])
    assert lens("SIMPLE_RADIAL_FISHEYE", (0.0,)).distort(ray)[0] == pytest.approx(322 + 500 * 0.7)
    assert lens("SIMPLE_RADIAL_FISHEYE", (0.1,)).distort(ray)[0] == pytest.approx(
        322 + 500 * (0.7 + 0.1 * 0.7**3)
    )
    bent = math.atan(2 * math.tan(0.7) * math.tan(0.45)) / 0.9
    assert lens("FOV").distort(ray)[0] == pytest.approx(322 + 500 * bent)


def test_pixels_that_the_lens_cannot_show_are_nan() -> None:
    # r (1 - 0.3 r^2) turns back at r = 1.054, where it is 0.703.
    folded = lens("SIMPLE_RADIAL", (-0.3,))
    beyond = np.array([[322 + 500 * 0.75, 236.0], [322 + 500 * 0.69, 236.0]])
    assert np.isfinite(folded.undistort(beyond)).all(axis=1).tolist() == [False, True]
    # A right angle and more from the axis.
    fisheye = lens("SIMPLE_RADIAL_FISHEYE", (0.0,))
    assert np.isnan(fisheye.undistort(np.array([322 + 500 * 1.6, 236.0]))).all()


def test_resizing_scales_each_axis() -> None:
    ideal = np.random.default_rng(2).uniform(-0.5, 0.5, (20, 2))
    small = lens("OPENCV").resized(320, 120)
    np.testing.assert_allclose(small.distort(ideal), lens("OPENCV").distort(ideal) * [0.5, 0.25])


def test_undistorts_keypoints_as_colmap_does() -> None:
    distorted, pinhole = read_model(real_scene("tabletop_distorted")), read_model(real_scene("tabletop"))
    expected = {image.name: image for image in pinhole.images}
    for image in distorted.images:
        other = expected[image.name]
        ideal = distorted.lenses[image.camera_id].undistort(image.keypoints)
        pixels = pinhole.lenses[other.camera_id].distort(ideal)
        np.testing.assert_allclose(pixels, other.keypoints, atol=1e-6)


def test_numbers_and_parameters_are_those_of_colmap() -> None:
    """Of sensor/models.h; those from 11 on are of newer versions and refused by name."""
    expected = [
        "SIMPLE_PINHOLE",
        "PINHOLE",
        "SIMPLE_RADIAL",
        "RADIAL",
        "OPENCV",
        "OPENCV_FISHEYE",
        "FULL_OPENCV",
        "FOV",
        "SIMPLE_RADIAL_FISHEYE",
        "RADIAL_FISHEYE",
        "THIN_PRISM_FISHEYE",
        "RAD_TAN_THIN_PRISM_FISHEYE",
        "SIMPLE_DIVISION",
        "DIVISION",
        "SIMPLE_FISHEYE",
        "FISHEYE",
        "EUCM",
        "EQUIRECTANGULAR",
    ]
    known = {model.id: model.name for model in LENS_MODELS}
    assert {**known, **REFUSED_LENS_MODELS} == dict(enumerate(expected))
    assert [len(model.params) for model in LENS_MODELS] == [3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12]
    assert [model.num_focals for model in LENS_MODELS] == [1, 2, 1, 1, 2, 2, 2, 2, 1, 1, 2]
