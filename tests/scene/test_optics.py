"""Where cameras see points and where their pixels look, and which of them a lens is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gsplat_core import rasterization
from gsplat_core.scene.lens import BROWN, LENS_MODEL_BY_NAME, Lens
from gsplat_core.scene.optics import OPTICS, Matrix, camera_of, optics

K = np.array([[60.0, 0, 50], [0, 57, 41], [0, 0, 1]])
COEFFICIENTS = {
    "pinhole": (),
    "opencv": (-0.1, 0.05, 0.003, -0.004, -0.01, 0.02, -0.01, 0.004, 0.003, -0.002, 0.004, 0.001),
    "fisheye": (0.04, -0.01, 0.003, -0.0004),
    "equirectangular": (),
}


def pixels() -> Matrix:
    x, y = np.meshgrid(np.linspace(2, 98, 13), np.linspace(2, 78, 11))
    return np.stack([x.ravel(), y.ravel()], axis=1)


@pytest.mark.parametrize("model", OPTICS)
def test_rays_meet_the_pixels_that_they_come_from(model: str) -> None:
    known = optics(model, K, COEFFICIENTS[model])
    rays = known.rays(pixels())
    np.testing.assert_allclose(known.depths(rays), 1.0, atol=1e-12)
    np.testing.assert_allclose(known.pixels(7.5 * rays), pixels(), atol=1e-8)
    middle = known.rays(np.array([[50.0, 41.0]]))
    np.testing.assert_allclose(middle, [[0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize("model", OPTICS)
def test_points_appear_where_the_rasterizer_draws_them(model: str) -> None:
    """And are not seen where it does not draw them; among them points beside and behind the camera."""
    known, g = optics(model, K, COEFFICIENTS[model]), np.random.default_rng(0)
    points = g.normal(size=(400, 3)) * [2.0, 2.0, 1.0] + [0, 0, 0.7]
    n = len(points)
    _, _, meta = rasterization(
        torch.from_numpy(points).float(), torch.tensor([[1.0, 0, 0, 0]]).expand(n, 4),
        torch.full((n, 3), 1e-3), torch.full((n,), 0.9), torch.rand(n, 3), torch.eye(4)[None],
        torch.from_numpy(K).float()[None], 100, 80, camera_model=model,
        lens=torch.tensor([COEFFICIENTS[model]]) if COEFFICIENTS[model] else None,
    )  # fmt: skip
    drawn = (meta["radii"][0] > 0).all(-1).numpy()
    found = known.pixels(points)
    inside = ((found > 0) & (found < (100, 80))).all(axis=1) & (known.depths(points) > 0.01)
    near = ((found > -3) & (found < (103, 83))).all(axis=1)
    assert drawn.sum() > 30
    assert not (inside & ~drawn).any()
    assert not (drawn & ~near).any()
    np.testing.assert_allclose(meta["means2d"][0][drawn].numpy(), found[drawn], atol=1e-3)
    np.testing.assert_allclose(meta["depths"][0][drawn].numpy(), known.depths(points)[drawn], rtol=1e-5)


@pytest.mark.parametrize(
    ("model", "coefficients", "fold"),
    [("fisheye", (-0.2, 0, 0, 0), 1.2910), ("opencv", (-0.3, *[0] * 11), 1.0541)],
)
def test_nothing_is_seen_where_a_lens_bends_back(
    model: str, coefficients: tuple[float, ...], fold: float
) -> None:
    """1 - 0.6 t^2 and 1 - 0.9 r^2 vanish there."""
    known = optics(model, K, coefficients)

    def at(size: float) -> Matrix:
        angle = size if model == "fisheye" else np.arctan(size)
        return np.array([[np.sin(angle), 0, np.cos(angle)]])

    assert np.isfinite(known.pixels(at(0.99 * fold))).all()
    assert np.isnan(known.pixels(at(1.01 * fold))).all()
    last = known.pixels(at(0.999 * fold))
    assert np.isfinite(known.rays(last)).all()
    assert np.isnan(known.rays(last + np.array([[3.0, 0]]))).all()


def test_a_camera_without_a_centre_has_no_rays() -> None:
    with pytest.raises(ValueError, match="'ortho'"):
        optics("ortho", K)


def lens(name: str, *coefficients: float) -> Lens:
    model = BROWN if name == "BROWN" else LENS_MODEL_BY_NAME[name]
    return Lens(model, 100, 80, (60.0, 57.0), (50.0, 41.0), coefficients)


@pytest.mark.parametrize(
    "given",
    [
        lens("SIMPLE_PINHOLE"),
        lens("PINHOLE"),
        lens("SIMPLE_RADIAL", -0.1),
        lens("RADIAL", -0.1, 0.02),
        lens("OPENCV", -0.1, 0.02, 0.003, -0.002),
        lens("FULL_OPENCV", -0.1, 0.02, 0.003, -0.002, 0.01, 0.02, -0.01, 0.005),
        lens("BROWN", -0.1, 0.02, 0.003, 0.0, 0.003, -0.002),
        lens("OPENCV_FISHEYE", 0.04, -0.01, 0.003, -0.0004),
        lens("SIMPLE_RADIAL_FISHEYE", 0.04),
        lens("RADIAL_FISHEYE", 0.04, -0.01),
        lens("THIN_PRISM_FISHEYE", 0.04, -0.01, 0.0, 0.0, 0.003, -0.0004, 0.0, 0.0),
    ],
    ids=lambda given: given.model.name,
)
def test_which_camera_a_lens_is(given: Lens) -> None:
    """They map the same points to the same pixels."""
    camera = camera_of(given)
    assert camera is not None
    ideal = np.random.default_rng(0).uniform(-0.7, 0.7, size=(50, 2))
    found = optics(camera[0], given.K, camera[1]).pixels(np.column_stack([ideal, np.ones(50)]))
    np.testing.assert_allclose(found, given.distort(ideal), atol=1e-9)


@pytest.mark.parametrize(
    "given",
    [
        lens("FOV", 0.9),
        lens("BROWN", -0.1, 0.02, 0.003, 0.001, 0.003, -0.002),
        lens("THIN_PRISM_FISHEYE", 0.04, -0.01, 0.001, 0.0, 0.003, -0.0004, 0.0, 0.0),
        lens("THIN_PRISM_FISHEYE", 0.04, -0.01, 0.0, 0.0, 0.003, -0.0004, 0.0, 0.002),
    ],
    ids=lambda given: given.model.name,
)
def test_a_lens_of_which_there_is_no_camera(given: Lens) -> None:
    assert camera_of(given) is None
