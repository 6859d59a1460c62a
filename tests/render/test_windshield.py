"""gsplat_core/render/windshield.py: what stands before all cameras, gsplat's `external_distortion_coeffs`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from splats import Scene, adapted, assert_gradient, assert_parity, one_thread, random_scene

from gsplat_core import rasterization, reference
from gsplat_core.compat import gsplat
from gsplat_core.compat.gsplat import (
    BivariateWindshieldModelParameters,
    ExternalDistortionReferencePolynomial,
)
from gsplat_core.reference.unscented import Unscented
from gsplat_core.reference.windshield import Pane
from gsplat_core.render.flow import Flow
from gsplat_core.render.rays import pixel_rays
from gsplat_core.render.variants import CAMERAS
from gsplat_core.render.windshield import windshield_of

FORWARD, BACKWARD = ExternalDistortionReferencePolynomial
WIDTH, HEIGHT, NUM = 33, 26, 40
HORIZONTAL = (0.01, 1.02, 0.03, -0.02, 0.05, 0.02)
VERTICAL = (-0.02, 0.01, 0.02, -0.03, 0.98, 0.04, 0.02, 0.05, -0.04, 0.03)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def scene_of(camera: str = "pinhole", response: str = "gaussian") -> Scene:
    scene = random_scene(NUM, cameras=2, width=WIDTH, height=HEIGHT, sh_degree=1, seed=4)
    scene = scene.with_(Ks=scene.tensors["Ks"] * torch.tensor([[0.5], [0.5], [1.0]]))
    return adapted(scene, camera, response)


def pane(
    way: Any, horizontal: Any = HORIZONTAL, vertical: Any = VERTICAL
) -> BivariateWindshieldModelParameters:
    ending = "" if way == FORWARD else "_inverse"
    return BivariateWindshieldModelParameters(
        way, **{f"horizontal_poly{ending}": horizontal, f"vertical_poly{ending}": vertical}
    )


def of_reference(coeffs: BivariateWindshieldModelParameters) -> Pane:
    made = windshield_of(coeffs, torch.zeros(()))
    return Pane(made.horizontal.double(), made.vertical.double(), made.towards_lens)


def render(*, windshield: Pane, unscented: Unscented | None = None, **arguments: Any) -> Any:
    """With the arguments of the reference."""
    way = FORWARD if windshield.towards_lens else BACKWARD
    coeffs = pane(way, windshield.horizontal, windshield.vertical)
    return rasterization(**arguments, external_distortion_coeffs=coeffs, with_ut=unscented is not None)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("way", [FORWARD, BACKWARD])
@pytest.mark.parametrize("response", ["gaussian", "ray"])
@pytest.mark.parametrize("camera", ["pinhole", "fisheye"])
def test_parity_with_the_reference(camera: str, response: str, way: Any) -> None:
    options = {"camera_model": camera, "response": response, "render_mode": "RGB+ED"}
    assert_parity(render, scene_of(camera, response), **options, windshield=of_reference(pane(way)))


def test_parity_of_other_cameras_orders_and_sigma_points() -> None:
    """And of covariances, and of what lies around the camera."""
    glass = of_reference(pane(FORWARD))
    for camera in CAMERAS:
        assert_parity(render, scene_of(camera), camera_model=camera, windshield=glass)
    assert_parity(render, scene_of(), order="pixel", windshield=glass, max_ambiguous=0.6)
    assert_parity(render, scene_of(), unscented=Unscented(), windshield=glass)


def test_distances_are_those_outside() -> None:
    """As everything stays on its sphere around the camera."""
    options = {"render_mode": "Ed", "windshield": of_reference(pane(FORWARD))}
    assert_parity(render, scene_of("fisheye"), camera_model="fisheye", **options)
    truth = reference.rasterization(**scene_of().arguments(), response="ray", **options)
    found = render(**scene_of().arguments(), response="ray", **options)
    keep = ~truth[2]["ambiguous"]
    torch.testing.assert_close(found[0].double()[keep], truth[0][keep], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", [FORWARD, BACKWARD])
def test_its_coefficients_have_gradients(way: Any) -> None:
    scene, found = scene_of(response="ray"), []
    g = torch.Generator().manual_seed(3)
    weights = torch.randn(2, HEIGHT, WIDTH, 3, generator=g)
    ambiguous = reference.rasterization(
        **scene.arguments(), response="ray", windshield=of_reference(pane(way))
    )[2]["ambiguous"]
    weights = weights * ~ambiguous[..., None]
    for dtype in (torch.float32, torch.float64):
        leaves = [torch.tensor(numbers, dtype=dtype).requires_grad_() for numbers in (HORIZONTAL, VERTICAL)]
        if dtype == torch.float32:
            image = rasterization(
                **scene.arguments(), response="ray", external_distortion_coeffs=pane(way, *leaves)
            )[0]
        else:
            glass = Pane(*leaves, towards_lens=way == FORWARD)
            image = reference.rasterization(**scene.arguments(), response="ray", windshield=glass)[0]
        (weights * image).sum().backward()
        found.append(torch.cat([leaf.grad for leaf in leaves if leaf.grad is not None]))
    assert_gradient("coefficients", found[0], found[1], 5e-3)


def test_a_pane_that_does_not_bend_is_not_there() -> None:
    plain = pane(FORWARD, (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    for response in ("gaussian", "ray"):
        scene = scene_of(response=response)
        through, _, meta = rasterization(
            **scene.arguments(), response=response, external_distortion_coeffs=plain
        )
        expected = rasterization(**scene.arguments(), response=response)
        torch.testing.assert_close(through, expected[0], rtol=1e-3, atol=2e-4)
        assert meta["means2d"].shape == expected[2]["means2d"].shape


def test_rays_lead_back_through_the_pane_to_what_appears_at_their_pixels() -> None:
    """Along the ray of a pixel, everything appears at this pixel."""
    for way in (FORWARD, BACKWARD):
        glass = windshield_of(pane(way), torch.zeros(()))
        scene = scene_of("fisheye")
        viewmats, Ks, lens = (scene.tensors[name][:1] for name in ("viewmats", "Ks", "lens"))
        rays = pixel_rays("fisheye", viewmats[None], Ks[None], lens[None], WIDTH, HEIGHT, windshield=glass)[
            0, 0
        ]
        centre = -(viewmats[0, :3, :3].T @ viewmats[0, :3, 3])
        places = torch.tensor([[5, 7], [12, 30], [20, 3]])
        means = centre + 3 * rays[places[:, 0], places[:, 1]]
        meta = rasterization(
            means, torch.tensor([[1.0, 0, 0, 0]]).expand(3, 4), torch.full((3, 3), 1e-3), torch.ones(3),
            torch.ones(3, 1), viewmats, Ks, WIDTH, HEIGHT, camera_model="fisheye", lens=lens,
            external_distortion_coeffs=pane(way),
        )[2]  # fmt: skip
        torch.testing.assert_close(meta["means2d"][0], places.flip(-1) + 0.5, rtol=0, atol=2e-3)


def test_gsplats_name_and_what_goes_with_it() -> None:
    scene = scene_of()
    colors, _, meta = gsplat.rasterization(**scene.arguments(), external_distortion_coeffs=pane(FORWARD))
    ours = rasterization(**scene.arguments(), external_distortion_coeffs=pane(FORWARD), max_alpha=0.999)[0]
    torch.testing.assert_close(colors, ours)
    assert len(meta["gaussian_ids"]) == len(meta["means2d"])
    with pytest.raises(NotImplementedError, match="no flow through 'external_distortion_coeffs'"):
        rasterization(**scene.arguments(), external_distortion_coeffs=pane(FORWARD), flow=Flow())


@pytest.mark.parametrize("terms", [(), (0.0, 1.0), (0.0,) * 7, ((0.0, 1.0, 0.0),)])
def test_polynomials_that_no_degree_has_are_refused(terms: Any) -> None:
    with pytest.raises(ValueError, match="'external_distortion_coeffs' must have 3, 6, 10, 15 or 21"):
        rasterization(**scene_of().arguments(), external_distortion_coeffs=pane(FORWARD, terms))
