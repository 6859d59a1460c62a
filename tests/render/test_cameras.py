"""Every camera model that the operators have, against the reference; and what is special about them."""

from __future__ import annotations

import pytest
import torch
from splats import adapted, around_the_camera, assert_parity, covariances, random_scene

from gsplat_core import rasterization, reference
from gsplat_core.compat import gsplat
from gsplat_core.render.variants import CAMERAS

on_every_backend = pytest.mark.usefixtures("backend")


def test_the_reference_has_the_same_cameras() -> None:
    assert {name: len(camera.coefficients) for name, camera in reference.CAMERAS.items()} == CAMERAS


@on_every_backend
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("camera", CAMERAS)
def test_parity_with_the_reference(camera: str, mode: str) -> None:
    scene = adapted(random_scene(100, cameras=2), camera)
    assert_parity(rasterization, scene, camera_model=camera, rasterize_mode=mode, render_mode="RGB+D")


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_parity_with_covariances(camera: str) -> None:
    scene = adapted(random_scene(60), camera)
    covars = covariances(scene.tensors.pop("quats"), scene.tensors.pop("scales"))
    assert_parity(rasterization, scene.with_(covars=covars), camera_model=camera)


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_parity_beside_and_behind_the_camera(camera: str) -> None:
    assert_parity(rasterization, adapted(around_the_camera(), camera), camera_model=camera)


def test_an_orthographic_camera_does_not_see_how_far_away_things_are() -> None:
    scene = adapted(random_scene(80, sh_degree=None), "ortho")
    back = scene.tensors["viewmats"].clone()
    back[:, 2, 3] += 7
    near, _, meta = rasterization(**scene.arguments(), camera_model="ortho")
    far, _, meta_far = rasterization(**scene.with_(viewmats=back).arguments(), camera_model="ortho")
    assert near.std() > 0.1
    torch.testing.assert_close(far, near, atol=1e-4, rtol=1e-4)
    seen = meta["radii"].amin(-1) > 0
    torch.testing.assert_close(
        (meta_far["depths"] - meta["depths"])[seen], torch.full((int(seen.sum()),), 7.0)
    )


def test_gsplats_names_know_the_orthographic_camera() -> None:
    scene = adapted(random_scene(50), "ortho")
    given = scene.tensors
    _, means2d, *_ = gsplat.fully_fused_projection(
        given["means"], None, given["quats"], given["scales"], given["viewmats"], given["Ks"],
        scene.width, scene.height, camera_model="ortho", opacities=given["opacities"],
    )  # fmt: skip
    _, _, meta = rasterization(**scene.arguments(), camera_model="ortho")
    seen = meta["radii"].amin(-1) > 0
    assert seen.any()
    assert torch.equal(means2d[seen], meta["means2d"][seen])
    colors, *_ = gsplat.rasterization(**scene.arguments(), camera_model="ortho", profile="gsplat-1.6")
    expected, *_ = rasterization(**scene.arguments(), camera_model="ortho")
    assert torch.equal(colors, expected)
