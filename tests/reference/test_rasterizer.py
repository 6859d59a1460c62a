"""gsplat_core/reference/rasterizer.py against closed forms and finite differences."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from splats import adapted, covariances, intrinsics, one_thread, random_scene, render_with_gradients
from torch import Tensor

from gsplat_core.reference import CAMERAS, RESPONSES, rasterization


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def one_gaussian(depth: float = 2.0, sigma: float = 0.1, opacity: float = 0.8) -> dict[str, Tensor]:
    """A ball on the axis of a camera at the origin."""
    return {
        "means": torch.tensor([[0.0, 0.0, depth]]).double(),
        "quats": torch.tensor([[1.0, 0.0, 0.0, 0.0]]).double(),
        "scales": torch.full((1, 3), sigma, dtype=torch.float64),
        "opacities": torch.tensor([opacity], dtype=torch.float64),
        "colors": torch.tensor([[1.0, 0.5, 0.25]]).double(),
        "viewmats": torch.eye(4).double()[None],
        "Ks": intrinsics(100, 100, 16.5, 12.5)[None].double(),
    }


def test_a_ball_on_the_axis_is_a_round_gaussian_of_its_projected_size() -> None:
    colors, alphas, meta = rasterization(**one_gaussian(), width=33, height=25)
    variance = (100 * 0.1 / 2) ** 2 + 0.3
    for x, y in ((16, 12), (20, 12), (16, 9), (10, 5)):
        squared = (x + 0.5 - 16.5) ** 2 + (y + 0.5 - 12.5) ** 2
        alpha = 0.8 * math.exp(-squared / (2 * variance))
        assert alphas[0, y, x, 0].item() == pytest.approx(alpha, rel=1e-12)
        assert colors[0, y, x].tolist() == pytest.approx([alpha, alpha / 2, alpha / 4], rel=1e-12)
    assert meta["radii"][0, 0].tolist() == [math.ceil(math.sqrt(2 * math.log(0.8 * 255) * variance))] * 2


def test_antialiasing_conserves_the_energy_of_a_subpixel_gaussian() -> None:
    scene = one_gaussian(sigma=0.02)
    _, alphas, _ = rasterization(**scene, width=33, height=25, rasterize_mode="antialiased")
    before = (100 * 0.02 / 2) ** 2
    assert alphas[0, 12, 16, 0].item() == pytest.approx(0.8 * before / (before + 0.3), rel=1e-9)


def test_two_layers_blend_front_to_back_over_the_background() -> None:
    near, far = one_gaussian(2.0, 0.5, 0.6), one_gaussian(4.0, 1.0, 0.5)
    scene = {k: torch.cat([far[k], near[k]]) if k not in ("viewmats", "Ks") else near[k] for k in near}
    scene["colors"] = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double()
    background = torch.tensor([[0.25, 0.5]]).double()
    colors, alphas, _ = rasterization(
        **scene, width=33, height=25, backgrounds=background, render_mode="RGB+ED"
    )
    weights = (0.6, 0.4 * 0.5)
    rest = 1 - sum(weights)
    assert alphas[0, 12, 16, 0].item() == pytest.approx(1 - rest)
    expected = [
        weights[0] + 0.25 * rest,
        weights[1] + 0.5 * rest,
        (2 * weights[0] + 4 * weights[1]) / (1 - rest),
    ]
    assert colors[0, 12, 16].tolist() == pytest.approx(expected)


def test_alpha_is_capped_and_a_pixel_stops_before_it_is_fully_opaque() -> None:
    scene = one_gaussian(opacity=1.0)
    layers = {
        k: v if k in ("viewmats", "Ks") else v.repeat(3, *[1] * (v.dim() - 1)) for k, v in scene.items()
    }

    def at_centre(scene: dict[str, Tensor], **options: float) -> float:
        return rasterization(**scene, width=33, height=25, **options)[1][0, 12, 16].item()

    assert at_centre(scene) == pytest.approx(0.99)
    assert at_centre(layers, max_alpha=0.9) == pytest.approx(0.999)
    assert at_centre(layers, max_alpha=0.98) == pytest.approx(1 - 0.02**2)  # a third would leave 8e-6
    assert at_centre(layers, max_alpha=0.995) == pytest.approx(0.995)


@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("camera", CAMERAS)
def test_gradients_agree_with_finite_differences(camera: str, response: str, rasterize_mode: str) -> None:
    scene = random_scene(2, width=6, height=5, sh_degree=1)
    options = {"camera_model": camera, "response": response, "rasterize_mode": rasterize_mode}
    scene = scene.with_(
        Ks=intrinsics(6, 5, 3, 2.5)[None], opacities=scene.tensors["opacities"].clamp(0.2, 0.8)
    )
    scene = adapted(scene, camera, response)
    leaves = scene.leaves(torch.float64)
    names = list(leaves)

    def render(*values: Tensor) -> Tensor:
        arguments = scene.arguments(dict(zip(names, values, strict=True)))
        colors, alphas, meta = rasterization(**arguments, render_mode="RGB+ED", **options)
        keep = ~meta["ambiguous"][..., None]
        return torch.cat([colors * keep, alphas * keep], dim=-1)

    if RESPONSES[response].along_rays and camera not in ("pinhole", "ortho", "fisheye"):
        pytest.skip("the rays of others are found by the same steps, which take time")
    if rasterize_mode == "antialiased" and (RESPONSES[response].integrates or RESPONSES[response].along_rays):
        with pytest.raises(ValueError, match="not drawn antialiased"):
            rasterization(**scene.arguments(), **options)
        return
    assert rasterization(**scene.arguments(), **options)[2]["ambiguous"].double().mean() < 0.2
    # Of each argument the derivative along one random direction: all of them take a third of the whole suite.
    assert torch.autograd.gradcheck(render, tuple(leaves.values()), eps=1e-7, atol=1e-5, fast_mode=True)


@pytest.mark.parametrize("name", ["lens", "extras"])
def test_parameters_that_a_variant_lacks_are_refused(name: str) -> None:
    scene = one_gaussian() | {name: torch.zeros(1, 3)}
    with pytest.raises(ValueError, match=f"'{name}' needs 0 numbers for '(pinhole|gaussian)', got 3"):
        rasterization(**scene, width=33, height=25)


def test_covariances_replace_rotations_and_scales() -> None:
    scene = random_scene(20)
    covars = covariances(scene.tensors["quats"].double(), scene.tensors["scales"].double())
    upper = covars.flatten(-2)[:, [0, 1, 2, 4, 5, 8]]
    expected, *_ = rasterization(**scene.arguments())
    for given in (covars, upper):
        colors, *_ = rasterization(**scene.with_(covars=given).arguments())
        assert torch.allclose(colors, expected, atol=1e-12)


def test_the_absolute_gradient_is_the_sum_over_pixels() -> None:
    scene = random_scene(5, width=8, height=6)
    total = render_with_gradients(rasterization, scene, absgrad=True).meta["means2d"].absgrad
    summed = torch.zeros_like(total)
    for y in range(6):
        for x in range(8):
            keep = torch.zeros(1, 6, 8)
            keep[0, y, x] = 1
            summed += render_with_gradients(rasterization, scene, keep).gradients["means2d"].abs()
    assert torch.allclose(total, summed, atol=1e-9)


def test_pixels_near_a_threshold_are_marked() -> None:
    _, _, meta = rasterization(**one_gaussian(opacity=0.9900001), width=33, height=25)
    marked = meta["ambiguous"][0].nonzero()
    assert [12, 16] in marked.tolist()
    _, alphas, meta = rasterization(**one_gaussian(), width=33, height=25, band=0.1)
    faint = (alphas > 1 / 255) & (alphas < 1.1 / 255)
    assert faint.any()
    assert meta["ambiguous"][faint[..., 0]].all()
    assert not meta["ambiguous"][0, 12, 16]
