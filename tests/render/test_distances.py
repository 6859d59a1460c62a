"""gsplat_core/render/distances.py: depth along the rays of pixels, as the reference has it and as geometry
does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from splats import (
    Scene,
    adapted,
    assert_gradient,
    assert_parity,
    one_thread,
    random_scene,
    render_with_gradients,
    truth_of,
)
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.render import distances
from gsplat_core.render.variants import CAMERAS, RESPONSES

ALONG_RAYS = [name for name, response in RESPONSES.items() if response.along_rays]
WIDTH, HEIGHT, NUM = 31, 25, 40


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def scene_of(camera: str = "pinhole", response: str = "gaussian", cameras: int = 1) -> Scene:
    scene = random_scene(NUM, cameras=cameras, width=WIDTH, height=HEIGHT, sh_degree=None, seed=4)
    scene = scene.with_(Ks=scene.tensors["Ks"] * torch.tensor([[0.5], [0.5], [1.0]]))
    return adapted(scene, camera, response)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("render_mode", ["RGB-d", "Ed"])
@pytest.mark.usefixtures("backend")
def test_splats_are_as_far_as_their_depth_is_along_the_ray(camera: str, render_mode: str) -> None:
    assert_parity(rasterization, scene_of(camera), camera_model=camera, render_mode=render_mode)


@pytest.mark.parametrize("camera", ["pinhole", "ortho", "equirectangular"])
@pytest.mark.parametrize("response", ALONG_RAYS)
@pytest.mark.usefixtures("backend")
def test_rays_come_nearest_to_gaussians_where_the_reference_has_it(response: str, camera: str) -> None:
    assert_distances(response=response, camera=camera, render_mode="RGB-d")


@pytest.mark.parametrize("options", [{"render_mode": "Ed"}, {"render_mode": "d", "order": "pixel"}])
def test_any_order_and_their_mean(options: dict[str, Any]) -> None:
    assert_distances(0.6, response="ray", **options)


def assert_distances(
    max_ambiguous: float = 0.3, *, response: str, camera: str = "pinhole", **options: Any
) -> None:
    """As assert_parity(), but for `means2d.grad`: distances along rays have no part in what density control
    reads, which is for what a splat shows."""
    scene, options = (
        scene_of(camera, response, cameras=2),
        options | {"response": response, "camera_model": camera},
    )
    truth = truth_of(scene, max_ambiguous, **options)
    keep = ~truth.ambiguous
    found = render_with_gradients(rasterization, scene, keep, **options)
    error = (found.colors - truth.rendered.colors).abs() / truth.rendered.colors.abs().clamp(min=1)
    assert error[keep].max() < 1e-4
    for name in scene.tensors:
        assert_gradient(name, found.gradients[name], truth.rendered.gradients[name], 3e-3)


def wall(tilt: float) -> dict[str, Any]:
    """Opaque discs in one plane through (0, 0, 4), turned about the vertical by an angle."""
    x, y = torch.meshgrid(torch.linspace(-6, 6, 49), torch.linspace(-3, 3, 25), indexing="ij")
    angle = torch.tensor(tilt)
    along = torch.stack([angle.cos(), torch.zeros(()), angle.sin()])
    means = (
        x.reshape(-1, 1) * along + y.reshape(-1, 1) * torch.tensor([0.0, 1, 0]) + torch.tensor([0.0, 0, 4])
    )
    num = len(means)
    return {
        "means": means,
        "quats": torch.tensor([(angle / 2).cos(), 0, -(angle / 2).sin(), 0]).repeat(num, 1),
        "scales": torch.tensor([0.25, 0.25, 1e-4]).repeat(num, 1),
        "opacities": torch.full((num,), 0.9),
        "colors": torch.ones(num, 1),
        "viewmats": torch.eye(4)[None],
        "Ks": torch.tensor([[[30.0, 0, 24], [0, 30, 16], [0, 0, 1]]]),
        "width": 48,
        "height": 32,
    }


def true_distances(tilt: float) -> Tensor:
    """[32, 48] to the wall's plane."""
    v, u = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(48) + 0.5, indexing="ij")
    rays = torch.stack([(u - 24) / 30, (v - 16) / 30, torch.ones_like(u)], dim=-1)
    normal = torch.stack([-torch.tensor(tilt).sin(), torch.zeros(()), torch.tensor(tilt).cos()])
    return 4 * normal[2] / (rays @ normal) * rays.norm(dim=-1)


@pytest.mark.usefixtures("backend")
def test_a_wall_that_faces_the_camera_is_as_far_as_it_is() -> None:
    for response in ("gaussian", "ray"):
        image, *_ = rasterization(**wall(0.0), response=response, render_mode="Ed")
        torch.testing.assert_close(image[0, ..., 0], true_distances(0.0), rtol=1e-3, atol=0)


def test_rays_know_a_tilted_wall_to_the_pixel_and_splats_only_about() -> None:
    tilt = 0.6
    errors = {}
    for response in ("gaussian", "ray"):
        image, alphas, _ = rasterization(**wall(tilt), response=response, render_mode="Ed")
        error = (image[0, ..., 0] / true_distances(tilt) - 1).abs()
        errors[response] = float(error[alphas[0, ..., 0] > 0.5].max())
    assert errors["ray"] < 1e-3
    assert 5e-3 < errors["gaussian"] < 0.1


def test_distances_begin_where_given_rays_begin() -> None:
    """A ray from one unit nearer sees everything one unit nearer."""
    scene = wall(0.0)
    v, u = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(48) + 0.5, indexing="ij")
    rays = torch.stack([(u - 24) / 30, (v - 16) / 30, torch.ones_like(u)], dim=-1)
    unit = torch.nn.functional.normalize(rays, dim=-1)
    found = [
        rasterization(
            **scene, response="ray", render_mode="Ed", rays=torch.cat([start * unit, rays], -1)[None]
        )[0]
        for start in (0.0, 1.0)
    ]
    torch.testing.assert_close(found[0] - 1, found[1], rtol=0, atol=2e-3)


def test_looking_at_few_pairs_at_a_time_makes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, found = scene_of(response="ray"), []
    for pairs in (2**19, 64):
        monkeypatch.setattr(distances, "_PAIRS", pairs)
        leaves = scene.leaves()
        image, *_ = rasterization(**scene.arguments(leaves), response="ray", render_mode="d")
        image.square().sum().backward()
        found.append((image.detach(), leaves["means"].grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-3)


def test_derivatives_forward_are_those_backward() -> None:
    scene = scene_of(response="ray")
    t = scene.tensors
    g = torch.Generator().manual_seed(0)
    change, weights = (
        torch.randn(t["means"].shape, generator=g),
        torch.randn(1, HEIGHT, WIDTH, 1, generator=g),
    )

    def image(means: Tensor) -> Tensor:
        return rasterization(**scene.arguments() | {"means": means}, response="ray", render_mode="d")[0]

    _, tangent = torch.func.jvp(image, (t["means"],), (change,))
    leaf = t["means"].clone().requires_grad_()
    (image(leaf) * weights).sum().backward()
    assert leaf.grad is not None
    torch.testing.assert_close((tangent * weights).sum(), (leaf.grad * change).sum(), rtol=1e-3, atol=1e-2)


def test_nothing_is_at_no_distance() -> None:
    scene = scene_of(response="ray")
    nothing = scene.with_(opacities=torch.zeros(NUM))
    for mode in ("d", "RGB-Ed"):
        assert not rasterization(**nothing.arguments(), response="ray", render_mode=mode)[0][..., -1].any()
