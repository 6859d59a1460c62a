"""Responses along the rays of pixels: what they promise beyond agreeing with the reference."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from splats import Scene, adapted, random_scene, render_with_gradients
from torch import Tensor

import gsplat_core
from gsplat_core.render.rays import pixel_rays
from gsplat_core.render.variants import RESPONSES

ALONG_RAYS = [name for name, response in RESPONSES.items() if response.along_rays]
WIDTH, HEIGHT = 41, 33


def scene_of(name: str = "ray", num: int = 60) -> Scene:
    return adapted(random_scene(num, width=WIDTH, height=HEIGHT, sh_degree=None), response=name)


def rays_of(scene: Scene) -> Tensor:
    """Those of its pinhole cameras as `rasterization` takes them."""
    viewmats, Ks = (scene.tensors[name][None] for name in ("viewmats", "Ks"))
    directions = pixel_rays("pinhole", viewmats, Ks, None, scene.width, scene.height)[0]
    centres = -(viewmats[..., :3, :3].mT @ viewmats[..., :3, 3:])[0, :, None, None, :, 0]
    return torch.cat([centres.expand_as(directions), directions], dim=-1)


def render(scene: Scene, name: str = "ray", **options: Any) -> tuple[Tensor, Tensor]:
    return gsplat_core.rasterization(**scene.arguments(), response=name, **options)[:2]


def small(angle: float) -> Scene:
    """Gaussians of about 4 pixels, which appear under an angle of so many radians: far away, and enlarged."""
    scene = random_scene(40, width=WIDTH, height=HEIGHT, sh_degree=None)
    t = scene.tensors
    away = 0.1 / angle
    viewmats = t["viewmats"].clone()
    viewmats[:, 2, 3] += 4 * (away - 1)
    Ks = t["Ks"] * torch.tensor([[away, 1, 1], [1, away, 1], [1, 1, 1]])
    return scene.with_(viewmats=viewmats, Ks=Ks, scales=0.15 + t["scales"])


@pytest.mark.usefixtures("backend")
def test_what_appears_small_is_its_linearized_splat() -> None:
    """The smaller the angle under which Gaussians appear, the less it matters how they are looked at."""
    errors = []
    for angle in (0.1, 0.02, 0.004):
        scene = small(angle)
        on_screen = gsplat_core.rasterization(**scene.arguments(), eps2d=1e-4)[0]
        along_rays = render(scene)[0]
        errors.append(float((on_screen - along_rays).abs().mean()))
    assert errors[0] > 4 * errors[1] > 12 * errors[2]
    assert errors[2] < 2e-3


@pytest.mark.usefixtures("backend")
def test_moving_across_the_image_has_the_gradient_of_a_splat_that_moves() -> None:
    """What density control reads of `means2d`, and the sums of its absolute values."""
    scene, found = small(0.004), {}
    for name, options in (("gaussian", {"eps2d": 1e-4}), ("ray", {})):
        meta = render_with_gradients(
            gsplat_core.rasterization, scene, response=name, absgrad=True, **options
        ).meta
        found[name] = (meta["means2d"].grad, meta["means2d"].absgrad)
    for on_screen, along_rays in zip(found["gaussian"], found["ray"], strict=True):
        assert along_rays.norm() > 0
        assert (along_rays - on_screen).norm() < 0.05 * on_screen.norm()


@pytest.mark.usefixtures("backend")
def test_places_in_the_image_pass_no_gradient_on() -> None:
    """A loss on where splats lie has none for the Gaussians: their image does not depend on it."""
    scene = scene_of()
    leaves = scene.leaves()
    *_, meta = gsplat_core.rasterization(**scene.arguments(leaves), response="ray")
    meta["means2d"].sum().backward()
    assert leaves["means"].grad is None or not leaves["means"].grad.any()


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("name", ALONG_RAYS)
def test_the_length_of_directions_does_not_matter(name: str) -> None:
    scene = scene_of(name)
    rays = rays_of(scene)
    g = torch.Generator().manual_seed(0)
    lengths = 10 ** (6 * torch.rand(*rays.shape[:-1], 1, generator=g) - 3)
    results = []
    for factor in (torch.ones_like(lengths), lengths):
        leaf = torch.cat([rays[..., :3], factor * rays[..., 3:]], dim=-1).requires_grad_()
        colors = gsplat_core.rasterization(**scene.arguments(), response=name, rays=leaf)[0]
        weights = torch.randn(colors.shape, generator=torch.Generator().manual_seed(1))
        (colors * weights).sum().backward()
        assert leaf.grad is not None
        results.append((colors.detach(), leaf.grad * torch.cat([torch.ones(3), torch.ones(3)])))
    (colors, gradient), (other, other_gradient) = results
    torch.testing.assert_close(other, colors, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        lengths * other_gradient[..., 3:],
        gradient[..., 3:],
        rtol=1e-2,
        atol=1e-3 * float(gradient.abs().max()),
    )


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("name", ALONG_RAYS)
def test_given_rays_stand_in_for_those_of_the_cameras(name: str) -> None:
    scene = scene_of(name)
    for given, own in zip(render(scene, name, rays=rays_of(scene)), render(scene, name), strict=True):
        torch.testing.assert_close(given, own, rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("backend")
def test_a_camera_that_is_moved_sees_what_the_moved_rays_see() -> None:
    """Rays of another camera, from elsewhere, with splats looked for where this camera sees them."""
    scene = scene_of()
    moved = scene.tensors["viewmats"].clone()
    moved[:, :3, 3] += torch.tensor([0.01, -0.02, 0.01])
    there = scene.with_(viewmats=moved)
    along, alphas = render(scene, rays=rays_of(there))
    expected, _ = render(there)
    assert alphas.mean() > 0.1
    # But for the edges at which splats end.
    assert (along - expected).abs().mean() < 0.1 * (render(scene)[0] - expected).abs().mean()


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("nothing", [0.0, float("nan"), float("inf")])
def test_pixels_without_a_ray_see_nothing(nothing: float) -> None:
    scene = scene_of()
    rays = rays_of(scene)
    gone = torch.rand(rays.shape[:-1], generator=torch.Generator().manual_seed(2)) < 0.3
    rays[..., 3:] = torch.where(gone[..., None], nothing, rays[..., 3:])
    leaves = scene.leaves()
    colors, alphas, _ = gsplat_core.rasterization(
        **scene.arguments(leaves), response="ray", rays=rays.requires_grad_()
    )
    whole, _ = render(scene)
    assert not alphas[gone].any()
    background = scene.tensors["backgrounds"][0]
    torch.testing.assert_close(colors[gone], background.expand(int(gone.sum()), 3))
    torch.testing.assert_close(colors[~gone], whole[~gone], rtol=1e-3, atol=1e-4)
    colors.square().sum().backward()
    assert rays.grad is not None
    assert not rays.grad[gone].any()
    for leaf in (*leaves.values(), rays):
        assert leaf.grad is None or leaf.grad.isfinite().all()


@pytest.mark.usefixtures("backend")
def test_what_lies_behind_where_a_ray_begins_is_not_seen() -> None:
    scene = scene_of()
    rays = rays_of(scene)
    beyond = rays.clone()
    beyond[..., :3] += 100 * torch.nn.functional.normalize(rays[..., 3:], dim=-1)
    assert not render(scene, rays=beyond)[1].any()
    assert render(scene, rays=rays)[1].any()


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("name", ALONG_RAYS)
@pytest.mark.parametrize("thin", [0.0, 1e-12, 1e-6, 1e6])
def test_any_shape_has_finite_images_and_gradients(name: str, thin: float) -> None:
    """Discs, points and what is larger than the world; some at the camera."""
    scene = scene_of(name)
    scales, means = scene.tensors["scales"].clone(), scene.tensors["means"].clone()
    scales[:30, 0] = thin
    scales[10:40] = thin
    means[::7] = -scene.tensors["viewmats"][0, :3, :3].T @ scene.tensors["viewmats"][0, :3, 3]
    found = render_with_gradients(
        gsplat_core.rasterization, scene.with_(scales=scales, means=means), response=name, absgrad=True
    )
    assert found.colors.isfinite().all()
    assert found.alphas.any()
    for key, gradient in found.gradients.items():
        assert gradient.isfinite().all(), key


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("name", ALONG_RAYS)
@pytest.mark.parametrize("tile_size", [8, 32])
def test_the_size_of_tiles_changes_nothing(name: str, tile_size: int) -> None:
    """Not even where the splat is smaller than what the ray would see: large Gaussians near the camera."""
    scene = scene_of(name)
    scene = scene.with_(scales=3 * scene.tensors["scales"])
    assert torch.equal(render(scene, name, tile_size=tile_size)[0], render(scene, name)[0])


def test_the_generalized_one_is_the_gaussian_at_two(kernels: str) -> None:
    scene = scene_of()
    degrees = scene.with_(extras=torch.full((60, 1), 2.0))
    torch.testing.assert_close(render(degrees, "ray_generalized")[0], render(scene)[0], rtol=1e-3, atol=1e-4)


def test_gsplats_names() -> None:
    scene = scene_of()
    expected, _ = render(scene)
    assert torch.equal(gsplat_core.rasterization(**scene.arguments(), with_eval3d=True)[0], expected)
    with pytest.raises(ValueError, match="'with_eval3d' must be False with the response 'analytic'"):
        gsplat_core.rasterization(**scene.arguments(), with_eval3d=True, response="analytic")
    with pytest.raises(ValueError, match="'rays' needs a response along rays"):
        gsplat_core.rasterization(**scene.arguments(), rays=rays_of(scene))
    with pytest.raises(ValueError, match=r"rays.*\[1, 33, 41, 6\].*\[1, 33, 41, 3\]"):
        render(scene, rays=rays_of(scene)[..., :3])
    with pytest.raises(ValueError, match="found along its ray"):
        render(scene, rasterize_mode="antialiased")
