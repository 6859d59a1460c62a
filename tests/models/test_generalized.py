"""Generalized exponentials: at beta = 2 the plain Gaussian, with the derivative of what is rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gsplat_core import primitive
from gsplat_core.errors import UnsuitableSceneError
from gsplat_core.io import load, save
from gsplat_core.render.scene import render
from gsplat_core.render.variants import RESPONSES
from gsplat_core.scene.gaussians import Gaussians
from trainers.camera_paths import Orbit, default_lens


def plain_scene(num: int = 40, seed: int = 0) -> Gaussians:
    g = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=torch.randn(num, 3, generator=g),
        quats=torch.randn(num, 4, generator=g),
        scales=torch.rand(num, 3, generator=g) - 2.0,
        opacities=torch.randn(num, generator=g),
        sh0=torch.randn(num, 1, 3, generator=g),
        shN=0.2 * torch.randn(num, 3, 3, generator=g),
    )


def scene_with(beta: Tensor, plain: Gaussians) -> Gaussians:
    scene = plain.with_primitive("generalized")
    scene.further["beta"].copy_(scene.schema["beta"].raw(beta))
    return scene


def camera() -> Any:
    orbit = Orbit(center=np.zeros(3), up=np.array([0.0, 0.0, 1.0]), radius=5.0, elevation=0.3)
    return orbit.cameras(1, default_lens(60, 44))[0]


def image_of(scene: Any) -> Tensor:
    return render(scene, camera()).colors


def test_the_trained_beta_has_the_bounds_of_the_response() -> None:
    field = primitive.get("generalized").schema["beta"]
    assert field.trained
    assert RESPONSES["generalized"].extras == 1
    raw = torch.tensor([-100.0, 0.0, 100.0], dtype=torch.float64)
    torch.testing.assert_close(field.value(raw), torch.tensor([0.5, 2.0, 8.0], dtype=torch.float64))


def test_without_training_it_is_the_plain_gaussian() -> None:
    plain = plain_scene()
    expected = image_of(plain)
    assert expected.max() > 0.5
    torch.testing.assert_close(image_of(plain.with_primitive("generalized")), expected, atol=1e-6, rtol=0)


def test_beta_changes_what_is_rendered() -> None:
    plain = plain_scene()
    for beta in (1.0, 4.0):
        image = image_of(scene_with(torch.full((40,), beta), plain))
        assert (image - image_of(plain)).abs().max() > 0.02


def test_the_gradient_of_beta_is_that_of_the_image() -> None:
    """Of splats so wide that their edges, where opacity falls below 1/255, are out of the image: derivatives
    leave out what edges do when they move."""
    plain = plain_scene(12)
    plain.means *= 0.5
    plain.scales.copy_(torch.linspace(0.6, 1.2, 36).reshape(12, 3))
    scene = scene_with(torch.linspace(1.2, 3.0, 12), plain)
    weights = torch.rand(image_of(plain).shape, generator=torch.Generator().manual_seed(1)).double()

    def loss(raw: Tensor) -> Tensor:
        params = scene.params | {"beta": raw}
        return (image_of(primitive.evaluate(params, primitive="generalized")).double() * weights).sum()

    raw = scene.further["beta"].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(raw), raw)
    assert gradient.abs().max() > 10
    step, differences = 2e-2, []
    for row in range(12):
        change = torch.zeros(12)
        change[row] = step
        difference = loss(raw.detach() + change) - loss(raw.detach() - change)
        differences.append(difference.item() / (2 * step))
    torch.testing.assert_close(gradient, torch.tensor(differences), rtol=1e-2, atol=1e-2)


def test_ply_keeps_beta_and_the_primitive(tmp_path: Path) -> None:
    scene = scene_with(torch.linspace(0.6, 7.5, 40), plain_scene())
    save(tmp_path / "a.ply", scene)
    assert b"property float beta\n" in (tmp_path / "a.ply").read_bytes()
    read = load(tmp_path / "a.ply")
    assert read.primitive == "generalized"
    assert torch.equal(read.further["beta"], scene.further["beta"])
    assert torch.equal(image_of(read), image_of(scene))


@pytest.mark.parametrize("name", ["a.spz", "a.splat"])
def test_formats_of_plain_gaussians_refuse_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsuitableSceneError, match="no place for 'beta' of the primitive 'generalized'"):
        save(tmp_path / name, plain_scene().with_primitive("generalized"))
    assert not (tmp_path / name).exists()
