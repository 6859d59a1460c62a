"""Distortion by gsplat's argument names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from splats import Scene, adapted, random_scene
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.compat import gsplat


def lens(camera: str) -> tuple[Scene, Tensor]:
    """A scene without the coefficients, and these [C, P]."""
    scene = adapted(random_scene(60, cameras=2), camera)
    coefficients = scene.tensors.pop("lens")
    return scene, coefficients


@pytest.mark.parametrize("render", [rasterization, gsplat.rasterization])
@pytest.mark.parametrize("camera_model", ["pinhole", "opencv"])
def test_a_distorted_pinhole_camera(camera_model: str, render: Any) -> None:
    scene, c = lens("opencv")
    expected, *_ = rasterization(**scene.with_(lens=c).arguments(), camera_model="opencv")
    parts = {
        "radial_coeffs": c[:, [0, 1, 4, 5, 6, 7]].clone().requires_grad_(),
        "tangential_coeffs": c[:, 2:4].clone().requires_grad_(),
        "thin_prism_coeffs": c[:, 8:].clone().requires_grad_(),
    }
    options = {} if render is rasterization else {"profile": "gsplat-1.6"}
    image, *_ = render(**scene.arguments(), **parts, camera_model=camera_model, **options)
    torch.testing.assert_close(image, expected)
    image.square().sum().backward()
    for name, part in parts.items():
        assert part.grad is not None, name
        assert part.grad.abs().amin() > 0, name


@pytest.mark.parametrize("name", ["radial_coeffs", "tangential_coeffs", "thin_prism_coeffs"])
def test_each_kind_of_distortion_alone(name: str) -> None:
    scene, c = lens("opencv")
    places = {"radial_coeffs": [0, 1, 4, 5], "tangential_coeffs": [2, 3], "thin_prism_coeffs": [8, 9, 10, 11]}
    only = torch.zeros_like(c)
    only[:, places[name]] = c[:, places[name]]
    expected, *_ = rasterization(**scene.with_(lens=only).arguments(), camera_model="opencv")
    image, *_ = rasterization(**scene.arguments(), **{name: c[:, places[name]]})
    torch.testing.assert_close(image, expected)
    plain, *_ = rasterization(**scene.arguments())
    assert (image - plain).abs().max() > 1e-3


def test_a_fisheye_camera() -> None:
    scene, c = lens("fisheye")
    expected, *_ = rasterization(**scene.with_(lens=c).arguments(), camera_model="fisheye")
    image, *_ = rasterization(**scene.arguments(), camera_model="fisheye", radial_coeffs=c)
    assert torch.equal(image, expected)
    ideal, *_ = rasterization(**scene.with_(lens=0 * c).arguments(), camera_model="fisheye")
    image, *_ = gsplat.rasterization(**scene.arguments(), camera_model="fisheye", profile="gsplat-1.6")
    assert torch.equal(image, ideal)


def test_gsplats_projection_knows_the_fisheye_camera() -> None:
    scene, c = lens("fisheye")
    given = scene.tensors
    _, means2d, *_ = gsplat.fully_fused_projection(
        given["means"], None, given["quats"], given["scales"], given["viewmats"], given["Ks"],
        scene.width, scene.height, camera_model="fisheye", opacities=given["opacities"],
    )  # fmt: skip
    _, _, meta = rasterization(**scene.with_(lens=0 * c).arguments(), camera_model="fisheye")
    seen = meta["radii"].amin(-1) > 0
    assert seen.any()
    assert torch.equal(means2d[seen], meta["means2d"][seen])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"radial_coeffs": torch.zeros(2, 5)}, ValueError, "argument 'radial_coeffs' must have shape"),
        ({"radial_coeffs": torch.zeros(3, 6)}, ValueError, "argument 'radial_coeffs' must have shape"),
        (
            {"tangential_coeffs": torch.zeros(2, 4)},
            ValueError,
            "argument 'tangential_coeffs' must have shape",
        ),
        ({"tangential_coeffs": torch.zeros(2)}, ValueError, "argument 'tangential_coeffs' must have shape"),
        ({"thin_prism_coeffs": [0.0]}, ValueError, "argument 'thin_prism_coeffs' must be a tensor"),
        ({"radial_coeffs": torch.zeros(2, 6).double()}, ValueError, "must be float32"),
        ({"radial_coeffs": torch.zeros(2, 6), "camera_model": "fisheye"}, ValueError, "must have 4 coeff"),
        ({"radial_coeffs": torch.zeros(2, 4), "lens": torch.zeros(2, 12)}, ValueError, "what 'lens' says"),
        (
            {"tangential_coeffs": torch.zeros(2, 2), "camera_model": "fisheye"},
            NotImplementedError,
            "argument 'tangential_coeffs' = ",
        ),
        (
            {"radial_coeffs": torch.zeros(2, 4), "camera_model": "ortho"},
            NotImplementedError,
            "(?s)argument 'radial_coeffs' = .* 'ortho'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rasterization(**random_scene(5, cameras=2).arguments() | options)
