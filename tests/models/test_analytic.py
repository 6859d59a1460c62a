"""Gaussians integrated over pixels: from afar they look like their average."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models.test_generalized import plain_scene
from torch import Tensor

import gsplat_core
from gsplat_core.errors import UnsuitableSceneError, UsageError
from gsplat_core.io import load, save
from gsplat_core.render.scene import measure, render
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Orbit, default_lens
from trainers.presets import preset, with_antialiasing
from trainers.primitives import refuse_primitive

LARGE = (96, 64)


def camera() -> Any:
    orbit = Orbit(center=np.zeros(3), up=np.array([0.0, 0.0, 1.0]), radius=5.0, elevation=0.3)
    return orbit.cameras(1, default_lens(*LARGE))[0]


def small_scene() -> Gaussians:
    """Of small splats, which hardly hide one another."""
    plain = plain_scene(30)
    plain.scales -= 1.5
    plain.opacities.fill_(3.0)
    return plain


@pytest.mark.parametrize("factor", [4, 8])
def test_from_afar_it_looks_like_the_average_of_what_is_seen_from_near(factor: int) -> None:
    scene = small_scene()
    near, far = camera(), camera().resized(LARGE[0] // factor, LARGE[1] // factor)

    def shrunk(primitive: str) -> tuple[Tensor, Tensor]:
        drawn = scene.with_primitive(primitive)
        image = render(drawn, near).colors.permute(0, 3, 1, 2)
        averaged = torch.nn.functional.avg_pool2d(image, factor).permute(0, 2, 3, 1)
        return averaged, render(drawn, far).colors

    errors = {
        name: (a - b).square().mean().sqrt() / a.square().mean().sqrt()
        for name in ("gaussian", "analytic")
        for a, b in [shrunk(name)]
    }
    assert errors["analytic"] < 0.2
    assert errors["analytic"] < 0.1 * errors["gaussian"]


def test_from_near_it_is_the_gaussian() -> None:
    scene = plain_scene(20)
    scene.scales += 1.0
    plain, integrated = (render(scene.with_primitive(n), camera()).colors for n in ("gaussian", "analytic"))
    torch.testing.assert_close(integrated, plain, atol=0.03, rtol=0.03)


# Standard deviations, and how far away.
STRANGE = {
    "tiny": ([1e-12] * 3, 4.0),
    "small": ([1e-4] * 3, 4.0),
    "needle": ([2.0, 1e-9, 1e-9], 4.0),
    "flat": ([1.0, 1.0, 0.0], 4.0),
    "huge": ([1e6] * 3, 4.0),
    "far": ([1.0, 2.0, 3.0], 1e7),
    "near": ([0.1, 0.2, 0.3], 0.02),
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("turned", [False, True])
def test_strange_ones_have_finite_images_and_gradients(backend: str, kind: str, turned: bool) -> None:
    scales, depth = STRANGE[kind]
    leaves = {
        "means": torch.tensor([[0.01, 0.02, depth]]),
        "quats": torch.tensor([[0.8, 0.1, -0.5, 0.3] if turned else [1.0, 0, 0, 0]]),
        "scales": torch.tensor([scales]),
        "opacities": torch.tensor([0.9]),
        "colors": torch.tensor([[0.4, 0.6, 0.8]]),
    }
    leaves = {name: value.requires_grad_() for name, value in leaves.items()}
    Ks = torch.tensor([[[40.0, 0, 16.3], [0, 40, 11.8], [0, 0, 1]]])
    image, alphas, meta = gsplat_core.rasterization(
        **leaves, viewmats=torch.eye(4)[None], Ks=Ks, width=33, height=25, response="analytic", absgrad=True
    )
    assert bool(image.isfinite().all())
    assert alphas.max().item() <= 0.99 + 1e-6
    if kind in ("needle", "flat", "huge"):
        assert alphas.max().item() > 0.004
    (image.sum() + alphas.square().sum()).backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None, name
        assert bool(leaf.grad.isfinite().all()), name
    assert bool(meta["means2d"].absgrad.isfinite().all())


def test_what_a_scene_shows_of_its_gaussians_is_found_without_drawing_it() -> None:
    scene = small_scene().with_primitive("analytic")
    sums, splats = measure(scene, camera())
    assert int((sums[0, :, 0] > 0).sum()) > 20
    drawn = render(scene, camera()).meta
    assert torch.equal(splats.radii[0], drawn["radii"])


def test_ply_keeps_that_it_is_drawn_so(tmp_path: Path) -> None:
    scene = plain_scene().with_primitive("analytic")
    save(tmp_path / "a.ply", scene)
    read = load(tmp_path / "a.ply")
    assert read.primitive == "analytic"
    assert torch.equal(render(read, camera()).colors, render(scene, camera()).colors)
    with pytest.raises(UnsuitableSceneError, match="no place for the primitive 'analytic'"):
        save(tmp_path / "a.spz", scene)


def test_there_is_no_filter_to_compensate_for() -> None:
    scene = plain_scene().with_primitive("analytic")
    with pytest.raises(ValueError, match=r"'antialiased' with the response 'analytic'.*no filter"):
        render(scene.with_metadata(antialiased=True), camera())
    config = with_antialiasing(preset("tiny"), "analytic")
    assert (config.primitive, config.antialiased, config.antialiasing) == ("analytic", False, "analytic")
    refuse_primitive(config.primitive, config)
    both = with_antialiasing(preset("tiny"), "screen")
    with pytest.raises(UsageError, match="'analytic' is integrated over pixels"):
        refuse_primitive("analytic", both)
    assert torch.equal(
        render(scene, camera()).colors, render(scene.with_metadata(eps2d=2.0), camera()).colors
    )
