"""gsplat_core/render/scene.py: `render` is `rasterization` without its argument list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from splats import random_scene

from gsplat_core import primitive, rasterization
from gsplat_core.optim import Adam
from gsplat_core.primitive import Evaluated
from gsplat_core.render.cameras import Cameras
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import measure, render
from gsplat_core.render.settings import RenderSettings
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.metadata import Metadata

WIDTH, HEIGHT = 40, 30
S = random_scene(60, width=WIDTH, height=HEIGHT).tensors
MATRICES = (S["viewmats"][0].double().numpy(), S["Ks"][0].double().numpy())
CAMERA = Camera(*MATRICES, WIDTH, HEIGHT, near=0.02)


def gaussians(**facts: Any) -> Gaussians:
    return Gaussians(
        S["means"],
        S["quats"],
        S["scales"].log(),
        torch.logit(S["opacities"]),
        S["colors"][:, :1].contiguous(),
        S["colors"][:, 1:].contiguous(),
        metadata=Metadata(**facts),
    )


def by_rasterization(scene: Evaluated, camera: Camera = CAMERA, **options: Any) -> Any:
    given = {"sh_degree": 3, "near_plane": camera.near, **options}
    return rasterization(
        **scene.arguments(),
        viewmats=torch.tensor(camera.viewmat).float()[None],
        Ks=torch.tensor(camera.K).float()[None],
        width=camera.width,
        height=camera.height,
        **given,
    )


MODES: dict[str, Outputs] = {
    "RGB": Outputs(),
    "D": Outputs(colors=False, depth="sum"),
    "ED": Outputs(colors=False, depth="expected"),
    "RGB+D": Outputs(depth="sum"),
    "RGB+ED": Outputs(depth="expected"),
}


@pytest.mark.parametrize("mode", MODES)
def test_outputs_are_those_of_the_render_modes(mode: str) -> None:
    scene, outputs = gaussians(), MODES[mode]
    expected, alphas, _ = by_rasterization(primitive.evaluate(scene), render_mode=mode)
    rendered = render(scene, CAMERA, outputs=outputs)
    assert torch.equal(rendered.channels, expected)
    assert torch.equal(rendered.alphas, alphas)
    assert alphas.std() > 0.1
    if outputs.colors:
        assert torch.equal(rendered.colors, expected[..., :3])
    else:
        with pytest.raises(ValueError, match="without colours"):
            _ = rendered.colors
    if outputs.depth == "none":
        with pytest.raises(ValueError, match="without depth"):
            _ = rendered.depths
    else:
        assert torch.equal(rendered.depths, expected[..., -1])


def test_gradients_statistics_and_meta_are_the_same_to_the_bit() -> None:
    results = []
    for through_render in (True, False):
        leaves = {name: value.clone().requires_grad_() for name, value in gaussians().params.items()}
        scene = primitive.evaluate(leaves)
        background = torch.rand(1, 3, generator=torch.Generator().manual_seed(0))
        if through_render:
            outputs = Outputs(absgrad=True, statistics=True)
            drawn = RenderSettings(antialiased=True, eps2d=0.2, tile_size=8)
            rendered = render(leaves, CAMERA, drawn, outputs=outputs, background=background, sh_degree=2)
            colors, meta = rendered.colors, rendered.meta
        else:
            colors, _, meta = by_rasterization(
                scene, absgrad=True, statistics=True, rasterize_mode="antialiased", eps2d=0.2, tile_size=8,
                backgrounds=background, sh_degree=2,
            )  # fmt: skip
        (colors.square().sum() + meta["probe"].sum()).backward()
        results.append(
            [colors, meta["radii"], meta["statistics"].grad, meta["means2d"].absgrad]
            + [leaf.grad for leaf in leaves.values()]
        )
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


def test_a_scene_says_itself_whether_it_is_antialiased() -> None:
    for antialiased in (False, True):
        scene = gaussians(antialiased=antialiased)
        mode = "antialiased" if antialiased else "classic"
        expected, _, _ = by_rasterization(primitive.evaluate(scene), rasterize_mode=mode)
        assert torch.equal(render(scene, CAMERA).colors, expected)
        raw = render(scene.params, CAMERA, RenderSettings(antialiased=antialiased)).colors
        assert torch.equal(raw, expected)


def test_a_scene_knows_its_screen_filter_if_that_is_unusual() -> None:
    scene = gaussians()
    narrow = scene.with_metadata(eps2d=0.1)
    expected = render(scene, CAMERA, RenderSettings(eps2d=0.1)).colors
    assert torch.equal(render(narrow, CAMERA).colors, expected)
    assert torch.equal(render(narrow, CAMERA, RenderSettings(eps2d=2.0)).colors, expected)
    assert not torch.allclose(render(scene, CAMERA).colors, expected, atol=1e-2)


def test_the_cameras_near_plane_takes_the_place_of_the_settings() -> None:
    scene = gaussians()
    rendered = render(scene, CAMERA)
    settings = RenderSettings(near_plane=rendered.meta["depths"].median().item())
    own = render(scene, CAMERA, settings).alphas
    assert torch.equal(own, rendered.alphas)
    cameras = replace(Cameras.of(CAMERA, torch.device("cpu")), near=None)
    culled = render(scene, cameras, settings).alphas
    assert torch.equal(culled, by_rasterization(primitive.evaluate(scene), near_plane=settings.near_plane)[1])
    assert not torch.equal(culled, own)


def test_features_have_any_number_of_channels_and_backgrounds_fit_them() -> None:
    features = torch.rand(60, 5, generator=torch.Generator().manual_seed(1))
    scene = primitive.evaluate(gaussians())._replace(colors=features)
    background = torch.arange(5.0)
    expected, _, _ = by_rasterization(scene, sh_degree=None, backgrounds=background[None])
    for given in (background, background[None]):
        assert torch.equal(render(scene, CAMERA, background=given).colors, expected)


def test_primitives_see_the_context_and_the_cameras() -> None:
    seen: dict[str, Any] = {}

    @primitive.register("lifted-in-a-test")
    def lifted(params: Any, context: Any) -> Evaluated:
        seen.update(context)
        plain = primitive.gaussian(params, {})
        return plain._replace(means=plain.means + context["shift"])

    shift = torch.tensor([0.3, 0.0, 0.0])
    scene = replace(gaussians(), primitive="lifted-in-a-test")
    moved = replace(gaussians(), means=S["means"] + shift)
    image = render(scene, CAMERA, context={"shift": shift}).colors
    assert torch.equal(image, render(moved, CAMERA).colors)
    assert np.allclose(seen["viewmats"][0], CAMERA.viewmat)


def test_an_optimizer_trains_the_harmonics_on_the_way_back() -> None:
    results = []
    for on_the_way in (True, False):
        leaves = {name: value.clone().requires_grad_() for name, value in gaussians().params.items()}
        adam = Adam([{"params": [leaves[name]], "lr": 0.01} for name in ("sh0", "shN")])
        rendered = render(leaves, CAMERA, sh_optimizer=adam if on_the_way else None)
        rendered.colors.square().sum().backward()
        assert (leaves["sh0"].grad is None) == on_the_way
        adam.step()
        results.append([leaves["sh0"].detach(), leaves["shN"].detach(), leaves["means"].grad])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


def test_what_is_measured_is_what_the_gradient_of_the_probe_tells() -> None:
    scene = gaussians(antialiased=True)
    measured, splats = measure(scene, CAMERA)
    rendered = render(scene, CAMERA, outputs=Outputs(colors=False, depth="sum", statistics=True))
    rendered.meta["probe"].sum().backward()
    statistics = rendered.meta["statistics"].grad
    assert torch.allclose(measured[..., 0], statistics[..., 1], rtol=1e-5)
    assert torch.equal(measured[..., 1], statistics[..., 2])
    assert torch.equal(splats.radii[0], rendered.meta["radii"])
    assert measured.any()


def test_wishes_add_up() -> None:
    assert Outputs() | Outputs(colors=False, depth="sum", absgrad=True) == Outputs(True, "sum", True, False)
    assert Outputs(False, "expected") | Outputs(False, statistics=True) == Outputs(
        False, "expected", False, True
    )
    with pytest.raises(ValueError, match="one kind of depth, not 'sum' and 'expected'"):
        _ = Outputs(depth="sum") | Outputs(depth="expected")


def test_wrong_tensors_are_named() -> None:
    scene = primitive.evaluate(gaussians())
    with pytest.raises(ValueError, match="argument 'quats' must have shape"):
        render(scene._replace(quats=torch.zeros(60, 3)), CAMERA)
    with pytest.raises(ValueError, match="argument 'sh_degree' = 4 needs 25 coefficients"):
        render(scene, CAMERA, sh_degree=4)
