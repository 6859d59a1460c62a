"""Splats by the unscented transform: the reference's, in images and in all derivatives; those of the
linearization where there is little to choose between the two; and what they are good for, which is to bound
Gaussians."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from splats import (
    SCENES,
    Scene,
    adapted,
    around_the_camera,
    assert_parity,
    covariances,
    extremes,
    random_scene,
    render_with_gradients,
)
from torch import Tensor

from gsplat_core import rasterization, reference
from gsplat_core.compat import gsplat
from gsplat_core.reference.unscented import Unscented
from gsplat_core.render.camera_types import UnscentedTransformParameters
from gsplat_core.render.settings import RenderSettings
from gsplat_core.render.stages import Splats, project
from gsplat_core.render.variants import CAMERAS

on_every_backend = pytest.mark.usefixtures("backend")
USUAL = Unscented()
OF_GSPLAT = Unscented(alpha=0.1, require_all_sigma_points_valid=True)


def render(*, unscented: Unscented, **arguments: Any) -> Any:
    """With the arguments of the reference."""
    params = UnscentedTransformParameters(*unscented)
    return rasterization(**arguments, with_ut=True, ut_params=params)


@on_every_backend
@pytest.mark.parametrize("mode", ["classic", "antialiased"])
@pytest.mark.parametrize("camera", CAMERAS)
def test_parity_with_the_reference(camera: str, mode: str) -> None:
    scene = adapted(random_scene(80, cameras=2), camera)
    options = {"camera_model": camera, "rasterize_mode": mode, "render_mode": "RGB+D"}
    assert_parity(render, scene, **options, unscented=USUAL)


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_parity_with_covariances(camera: str) -> None:
    scene = adapted(random_scene(60), camera)
    covars = covariances(scene.tensors.pop("quats"), scene.tensors.pop("scales"))
    assert_parity(render, scene.with_(covars=covars), camera_model=camera, unscented=USUAL)


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_parity_where_some_points_are_not_seen(camera: str) -> None:
    scene = adapted(around_the_camera(), camera)
    wide = scene.with_(scales=4 * scene.tensors["scales"], opacities=0.2 * scene.tensors["opacities"])
    assert_parity(render, wide, 0.7, camera_model=camera, unscented=USUAL)


@pytest.mark.parametrize("unscented", [Unscented(0.3, 2.0, 0.0, 0.1, True), Unscented(0.6, 1.3, 1.5, 0.02)])
@pytest.mark.parametrize("camera", CAMERAS)
def test_parity_by_other_numbers(camera: str, unscented: Unscented) -> None:
    scene = adapted(random_scene(60), camera)
    assert_parity(render, scene, camera_model=camera, unscented=unscented)


@pytest.mark.parametrize("scene", sorted(SCENES.keys() - {"huge"}))  # no point of those is surely seen
def test_parity_in_strange_scenes(scene: str) -> None:
    assert_parity(render, SCENES[scene](), 1.0, unscented=USUAL)


@pytest.mark.parametrize("camera", CAMERAS)
def test_points_may_be_as_near_as_gsplats(camera: str) -> None:
    """The rounding of pixels counts more then."""
    scene, nearly = adapted(random_scene(60), camera), []
    for renderer in (render, reference.rasterization):
        nearly.append(renderer(**scene.arguments(), camera_model=camera, unscented=OF_GSPLAT))
    keep = ~nearly[1][2]["ambiguous"]
    assert keep.double().mean() > 0.7
    torch.testing.assert_close(nearly[0][0].double()[keep], nearly[1][0][keep], atol=5e-4, rtol=0)


def projected(scene: Scene, camera: str, settings: RenderSettings) -> Splats:
    given = {name: tensor[None] for name, tensor in scene.tensors.items()}
    return project(
        given["means"], given["quats"], given["scales"], None, given["opacities"], given["viewmats"],
        given["Ks"], scene.width, scene.height, settings, lens=given.get("lens"), camera=camera,
    )  # fmt: skip


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_both_methods_agree_as_gaussians_shrink(camera: str) -> None:
    """What they differ by falls with the square of the size."""
    scene = adapted(random_scene(100, seed=4), camera)
    linearized = RenderSettings(eps2d=0.0)
    unscented = replace(linearized, unscented=True)

    def difference(size: float) -> tuple[Tensor, Tensor]:
        small = scene.with_(scales=size * (scene.tensors["scales"] + 0.02))
        of_each = [projected(small, camera, settings) for settings in (linearized, unscented)]
        seen = (of_each[0].radii > 0).all(-1) & (of_each[1].radii > 0).all(-1)
        assert seen.sum() > 30
        shapes, means = ([getattr(s, name)[seen] for s in of_each] for name in ("shapes", "means2d"))
        off = (shapes[0] - shapes[1]).norm(dim=-1) / shapes[0].norm(dim=-1)
        return off, (means[0] - means[1]).norm(dim=-1)

    (large, moved), (small, less) = difference(1.0), difference(0.25)
    assert small.quantile(0.9) < 0.01
    if camera == "ortho":  # is linear
        assert large.max() < 1e-4
        assert moved.max() < 1e-3
    else:
        assert large.median() > 1e-3
        assert small.median() < 0.1 * large.median() + 2e-4
        assert less.median() < 0.1 * moved.median() + 1e-4


@on_every_backend
def test_a_large_gaussian_beside_a_pinhole_camera_is_no_fog() -> None:
    """88 degrees from the axis, where a linearization smears it over the whole image. None of its points
    appears there."""
    angle = math.radians(88)
    given: dict[str, Any] = {
        "means": torch.tensor([[20 * math.sin(angle), -2.0, 20 * math.cos(angle)]]),
        "quats": torch.tensor([[1.0, 0, 0, 0]]),
        "scales": torch.full((1, 3), 6.0),
        "opacities": torch.tensor([0.9]),
        "colors": torch.ones(1, 3),
        "viewmats": torch.eye(4)[None],
        "Ks": torch.tensor([[[75.0, 0, 80], [0, 75, 60], [0, 0, 1]]]),
        "width": 160,
        "height": 120,
    }
    _, fog, _ = rasterization(**given)
    _, clear, _ = rasterization(**given, with_ut=True)
    assert fog.amin() > 0.03
    assert clear.amax() == 0


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_forward_mode_is_the_adjoint_of_backward(camera: str) -> None:
    scene = adapted(random_scene(40, sh_degree=None), camera)
    names, values = list(scene.tensors), tuple(scene.tensors.values())
    g = torch.Generator().manual_seed(0)
    direction = tuple(0.01 * torch.randn(v.shape, generator=g) * v.abs().mean() for v in values)

    def image(*tensors: Tensor) -> Tensor:
        arguments = scene.arguments(dict(zip(names, tensors, strict=True)))
        found: Tensor = rasterization(**arguments, camera_model=camera, with_ut=True)[0]
        return found

    made, changes = torch.func.jvp(image, values, direction)
    weights = torch.randn(made.shape, generator=g)
    leaves = tuple(value.clone().requires_grad_() for value in values)
    gradients = torch.autograd.grad((weights * image(*leaves)).sum(), leaves)
    along = sum(float((d.double() * v.double()).sum()) for d, v in zip(direction, gradients, strict=True))
    assert float((weights * changes).double().sum()) == pytest.approx(along, rel=2e-3, abs=1e-4)


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_nothing_is_too_extreme(camera: str) -> None:
    scene = adapted(extremes(), camera)
    found = render_with_gradients(
        rasterization, scene, render_mode="RGB+D", camera_model=camera, with_ut=True
    )
    assert found.colors.isfinite().all()
    for name, gradient in found.gradients.items():
        assert gradient.isfinite().all(), name


BOUNDS = RenderSettings(unscented=True, bounds_only=True, margin=1.0)


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_bounds_hold_what_they_bound(camera: str) -> None:
    """The pixels of the surface alpha = 1/255 of a Gaussian are within its box, as long as it is not so large
    that its image is bent."""
    scene = adapted(random_scene(80, seed=6), camera)
    scene = scene.with_(scales=0.3 * scene.tensors["scales"])
    splats = projected(scene, camera, BOUNDS)
    seen = (splats.radii[0, 0] > 0).all(-1)
    assert seen.sum() > 40
    given = {name: tensor.double() for name, tensor in scene.tensors.items()}
    g = torch.Generator().manual_seed(0)
    around = torch.nn.functional.normalize(torch.randn(64, 3, generator=g).double(), dim=-1)
    level = 2 * (255 * given["opacities"]).log()
    roots = torch.linalg.cholesky(covariances(given["quats"].float(), given["scales"].float()).double())
    surface = given["means"][:, None] + level.sqrt()[:, None, None] * (around @ roots.mT)
    pose = given["viewmats"][0]
    points = (surface @ pose[:3, :3].mT + pose[:3, 3]).flatten(0, 1)[None, None]
    K = given["Ks"][0]
    lens = given.get("lens", torch.zeros(1, 0).double())[None, :, None]
    numbers = [K[i, j].reshape(1, 1, 1) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]
    kind = reference.CAMERAS[camera]
    intrinsics = reference.Intrinsics(*numbers, lens, scene.width, scene.height)
    pixels = kind.pixel(points, intrinsics).reshape(-1, 64, 2)
    ways = pixels - splats.means2d[0, 0].double()[:, None]
    if kind.turn:
        turn = kind.turn * K[0, 0]
        ways[..., 0] -= turn * (ways[..., 0] / turn).round()
    beyond = ways.abs().amax(1) - splats.radii[0, 0]
    assert beyond[seen].max() < 0.5


@on_every_backend
def test_bounds_cover_the_image_where_a_camera_does_not_see_all_of_a_gaussian() -> None:
    scene = random_scene(2).with_(
        means=torch.tensor([[0.1, 0.1, 0.5], [0.1, 0.1, 9.0]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(2, 1),
        scales=torch.tensor([[0.1, 0.1, 0.9]]).repeat(2, 1),
        opacities=torch.tensor([0.9, 0.9]),
        viewmats=torch.eye(4)[None],
    )
    splats = projected(scene, "pinhole", BOUNDS)
    assert (splats.radii[0, 0, 0] > torch.tensor([scene.width, scene.height])).all()
    assert (splats.radii[0, 0, 1] < scene.width / 2).all()
    broken = scene.with_(scales=torch.tensor([[torch.nan, 0.1, 0.1], [torch.inf, 0.1, 0.1]]))
    assert not projected(broken, "pinhole", BOUNDS).radii.any()


@on_every_backend
@pytest.mark.parametrize("camera", CAMERAS)
def test_bounds_have_no_derivative_but_depths_and_opacities_do(camera: str) -> None:
    scene = adapted(random_scene(40), camera)
    both = [(projected(scene, camera, s).radii > 0).all(-1) for s in (RenderSettings(), BOUNDS)]
    seen = both[0] & both[1]
    assert seen.sum() > 10

    def gradients(settings: RenderSettings, footprints: float) -> dict[str, Tensor]:
        leaves = scene.leaves()
        splats = projected(replace(scene, tensors=leaves), camera, settings)
        loss = ((splats.depths + splats.opacities) * seen).sum()
        (loss + footprints * (splats.means2d.sum() + splats.shapes.sum())).backward()
        return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}

    expected, found = gradients(RenderSettings(), 0.0), gradients(BOUNDS, 1.0)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4)


@on_every_backend
def test_a_gaussian_on_the_seam_is_as_small_as_elsewhere() -> None:
    angles = torch.tensor([0.0, 3.1415, -3.1415])
    scene = random_scene(3, width=200, height=100).with_(
        means=torch.stack([4 * angles.sin(), torch.zeros(3), 4 * angles.cos()], dim=-1),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(3, 1),
        scales=torch.full((3, 3), 0.2),
        opacities=torch.full((3,), 0.8),
        viewmats=torch.eye(4)[None],
        Ks=torch.tensor([[[200 / 6.2832, 0, 100], [0, 100 / 3.1416, 50], [0, 0, 1]]]),
    )
    splats = projected(scene, "equirectangular", RenderSettings(unscented=True))
    assert (splats.radii[0, 0, 1:] - splats.radii[0, 0, 0]).abs().max() <= 1


def test_gsplats_function_has_gsplats_numbers() -> None:
    scene = random_scene(50)
    found, *_ = gsplat.rasterization(**scene.arguments(), with_ut=True, profile="gsplat-1.6")
    params = gsplat.UnscentedTransformParameters()
    assert params.alpha == 0.1
    expected, *_ = rasterization(**scene.arguments(), with_ut=True, ut_params=params)
    assert torch.equal(found, expected)
    other, *_ = rasterization(**scene.arguments(), with_ut=True)
    assert not torch.equal(found, other)


def test_numbers_without_the_transform_are_refused() -> None:
    with pytest.raises(ValueError, match="'ut_params' needs with_ut=True"):
        rasterization(**random_scene(5).arguments(), ut_params=UnscentedTransformParameters())
    with pytest.raises(ValueError, match="'ut_beta' must be at least the square of 'ut_alpha', 4, got 2"):
        rasterization(
            **random_scene(5).arguments(), with_ut=True, ut_params=UnscentedTransformParameters(alpha=2.0)
        )
