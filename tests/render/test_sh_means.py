"""Spherical harmonics that are seen in the directions to other places than the means."""

from __future__ import annotations

import pytest
import torch
from splats import Scene, random_scene
from torch import Tensor

from gsplat_core import rasterization
from gsplat_core.optim import Adam
from gsplat_core.scene.harmonics import sh_basis


def scene_and_places() -> tuple[Scene, Tensor]:
    scene = random_scene(40, cameras=2, width=40, height=30, sh_degree=2)
    return scene, scene.tensors["means"] + torch.randn(40, 3, generator=torch.Generator().manual_seed(1))


def colours_seen(scene: Scene, places: Tensor) -> Tensor:
    """[C, N, 3] in the directions from the cameras to these places."""
    viewmats = scene.tensors["viewmats"]
    centres = -(viewmats[:, :3, :3].mT @ viewmats[:, :3, 3:])[..., 0]
    along = torch.nn.functional.normalize(places - centres[:, None], dim=-1)
    return (0.5 + (sh_basis(along, 2)[..., None] * scene.tensors["colors"][:, :9]).sum(dim=2)).clamp(min=0)


@pytest.mark.usefixtures("backend")
def test_colours_are_those_in_the_directions_to_these_places() -> None:
    scene, places = scene_and_places()
    image = rasterization(**scene.arguments(), sh_means=places)[0]
    features = colours_seen(scene, places)
    expected = rasterization(**{**scene.arguments(), "colors": features, "sh_degree": None})[0]
    torch.testing.assert_close(image, expected, atol=1e-5, rtol=1e-4)
    usual = rasterization(**scene.arguments())[0]
    assert not torch.allclose(image, usual, atol=1e-2)
    means = scene.tensors["means"]
    torch.testing.assert_close(rasterization(**scene.arguments(), sh_means=means)[0], usual)


@pytest.mark.usefixtures("backend")
def test_gradients_reach_them_and_means_by_their_own_ways() -> None:
    scene, places = scene_and_places()
    means = scene.tensors["means"].clone().requires_grad_()
    places.requires_grad_()
    given = {**scene.arguments(), "means": means}
    found = torch.autograd.grad(rasterization(**given, sh_means=places)[0].square().sum(), [means, places])
    features = {**given, "colors": colours_seen(scene, places), "sh_degree": None}
    expected = torch.autograd.grad(rasterization(**features)[0].square().sum(), [means, places])
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def test_coefficients_that_are_trained_during_backward_are_seen_there_too() -> None:
    scene, places = scene_and_places()
    places.requires_grad_()
    results = []
    for trains in (False, True):
        parts = [part.clone().requires_grad_() for part in scene.tensors["colors"].split([1, 8], dim=1)]
        adam = Adam(parts, lr=1e-2)
        given = {**scene.arguments(), "colors": tuple(parts), "sh_means": places}
        image = rasterization(**given, sh_optimizer=adam if trains else None)[0]
        (gradient,) = torch.autograd.grad(image.square().sum(), places, retain_graph=not trains)
        if not trains:
            image.square().sum().backward()
            adam.step()
        results.append([gradient, *(part.detach() for part in parts)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_places_of_another_shape_are_named() -> None:
    scene, places = scene_and_places()
    with pytest.raises(ValueError, match=r"'sh_means' must have shape .*40, 3"):
        rasterization(**scene.arguments(), sh_means=places[:7])
