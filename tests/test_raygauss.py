"""Casting rays through a density made of Gaussians."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from gsplat_core.raygauss import raycast
from gsplat_core.reference import raygauss as reference
from gsplat_core.render.rays import pixel_rays

WIDTH, HEIGHT, NEAR, FAR = 19, 13, 0.1, 8.0
NAMES = ("means", "quats", "scales", "densities", "colors", "viewmats", "Ks")


def cameras(count: int = 1) -> tuple[Tensor, Tensor]:
    """Around the origin, 4 away from it."""
    viewmats = torch.eye(4).repeat(count, 1, 1)
    for i, angle in enumerate([0.0, 0.6][:count]):
        turn = torch.tensor(
            [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]]
        )
        viewmats[i, :3, :3] = turn
    viewmats[:, 2, 3] = 4.0
    K = torch.tensor([[22.0, 0.0, 9.5], [0.0, 24.0, 6.5], [0.0, 0.0, 1.0]])
    return viewmats, K.repeat(count, 1, 1)


def scene(seed: int = 0, count: int = 20) -> dict[str, Tensor]:
    """The first Gaussian is around the first camera, and the second partly behind it."""
    random = torch.Generator().manual_seed(seed)
    means = 0.5 * torch.randn(count, 3, generator=random)
    means[0], means[1] = torch.tensor([0.0, 0.1, -3.95]), torch.tensor([0.3, 0.0, -4.1])
    viewmats, Ks = cameras(2)
    return {
        "means": means,
        "quats": torch.randn(count, 4, generator=random),
        "scales": 0.05 + 0.2 * torch.rand(count, 3, generator=random),
        "densities": 10 * torch.rand(count, generator=random),
        "colors": torch.rand(count, 3, generator=random),
        "viewmats": viewmats,
        "Ks": Ks,
    }


def marched(
    given: dict[str, Tensor], step: float, background: Tensor, camera: str = "pinhole"
) -> tuple[Tensor, Tensor, Tensor]:
    """Images, alphas and where they are ambiguous, from the equations."""
    viewmats = given["viewmats"].double()
    rays = pixel_rays(camera, viewmats[None], given["Ks"].double()[None], None, WIDTH, HEIGHT)[0]
    found = []
    for c, viewmat in enumerate(viewmats):
        directions, *offsets = rays[c].flatten(0, 1).split(3, dim=-1)
        origins = (-viewmat[:3, :3].mT @ viewmat[:3, 3]).expand_as(directions)
        found.append(
            reference.march(
                *(given[name] for name in NAMES[:5]), origins + sum(offsets),
                torch.nn.functional.normalize(directions, dim=-1), step=step,
                starts=torch.full_like(directions[:, 0], NEAR + 0.5 * step), far=FAR, background=background,
            )
        )  # fmt: skip
    colors, passed, ambiguous = (
        torch.stack(parts).unflatten(1, (HEIGHT, WIDTH)) for parts in zip(*found, strict=True)
    )
    return colors, 1 - passed[..., None], ambiguous


def cast(given: dict[str, Tensor], step: float = 0.04, **how: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
    return raycast(**given, width=WIDTH, height=HEIGHT, step=step, near=NEAR, far=FAR, **how)


def leaves(given: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone().requires_grad_() for name, tensor in given.items()}


BACKGROUND = torch.tensor([0.2, 0.4, 0.6])


class Expected(NamedTuple):
    """From the equations: what is to be seen, of which pixels, and the gradients of its weighted sum."""

    images: Tensor  # [C, H, W, 4], with alphas
    clear: Tensor  # [C, H, W, 1]
    weights: Tensor  # like images
    gradients: dict[str, Tensor]


@cache
def expected(camera: str, step: float) -> Expected:
    exact = leaves({name: tensor.double() for name, tensor in scene().items()})
    colors, alphas, ambiguous = marched(exact, step, BACKGROUND, camera)
    clear = ~ambiguous[..., None]
    assert clear.float().mean() > 0.8
    assert 0.3 < float(alphas.detach().mean()) < 0.999
    images = torch.cat([colors, alphas], dim=-1)
    weights = torch.rand(images.shape, generator=torch.Generator().manual_seed(1)).double() * clear
    images.backward(weights)
    gradients = {name: tensor.grad.float() for name, tensor in exact.items()}
    return Expected(images.detach().float(), clear, weights.float(), gradients)


@pytest.mark.parametrize("camera", ["pinhole", "ortho"])
def test_images_and_gradients_are_those_of_the_equations(camera: str, kernels: str) -> None:
    right, given = expected(camera, 0.1), leaves(scene())
    colors, alphas, _ = cast(given, 0.1, backgrounds=BACKGROUND.expand(2, 3), camera_model=camera)
    images = torch.cat([colors, alphas], dim=-1)
    torch.testing.assert_close(images * right.clear, right.images * right.clear, atol=2e-5, rtol=0)
    images.backward(right.weights)
    for name in NAMES:
        size = float(right.gradients[name].abs().max())
        torch.testing.assert_close(
            given[name].grad, right.gradients[name], atol=1e-4 * size, rtol=0, msg=name
        )


def test_tiles_change_nothing(backend: str) -> None:
    given = scene()
    right, _, meta = cast(given, 0.1)
    assert bool((meta["visible"] == (meta["radii"] > 0).all(-1)).all())
    for tile_size in (8, 32):
        assert torch.equal(cast(given, 0.1, tile_size=tile_size)[0], right)


def test_threads_change_nothing() -> None:
    given, gradients = scene(), []
    threads = torch.get_num_threads()
    for count in (1, 3):
        torch.set_num_threads(count)
        try:
            trained = leaves(given)
            cast(trained)[0].square().sum().backward()
        finally:
            torch.set_num_threads(threads)
        gradients.append([trained[name].grad for name in NAMES])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_what_is_empty_or_not_dense_is_not_seen() -> None:
    given = scene()
    given["densities"] = torch.full_like(given["densities"], 0.1)
    given["densities"][0] = float("nan")
    background = torch.rand(2, 3)
    trained = leaves(given)
    images, alphas, meta = cast(trained, backgrounds=background)
    assert torch.equal(images, background[:, None, None].expand_as(images))
    assert not alphas.any()
    assert not meta["visible"].any()
    images.sum().backward()
    assert all(not trained[name].grad.any() for name in NAMES[:5])
    nobody = {name: tensor[:0] if name in NAMES[:5] else tensor for name, tensor in given.items()}
    assert not cast(nobody)[1].any()


def test_finer_steps_come_nearer_to_the_integral() -> None:
    """Samples in the middle of their steps: the error of images falls with the square of the step."""
    given = scene(2)
    fine = cast(given, step=0.002, density_threshold=1e-5)[0]
    errors = [
        float((cast(given, step=step, density_threshold=1e-5)[0] - fine).square().mean().sqrt())
        for step in (0.1, 0.05)
    ]
    assert 3.0 < errors[0] / errors[1] < 5.0


def test_random_offsets_are_those_of_their_seed() -> None:
    given = scene()
    images = [cast(given, offset="random", seed=seed)[0] for seed in (1, 1, 2)]
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])
    torch.testing.assert_close(images[0], cast(given)[0], atol=0.1, rtol=0)


@pytest.mark.parametrize("model", ["pinhole", "ortho"])
def test_the_central_ray_sees_the_line_integral(model: str) -> None:
    """Of a Gaussian that is dense enough for its threshold to be far outside: s sqrt(2 pi) along an axis."""
    density, deep = 4.0, 0.3
    viewmats, Ks = cameras()
    images, alphas, _ = raycast(
        torch.zeros(1, 3), torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[0.2, 0.1, deep]]),
        torch.tensor([density]), torch.tensor([[0.2, 0.5, 0.9]]), viewmats, Ks, WIDTH, HEIGHT,
        step=0.02, near=0.0, far=10.0, density_threshold=1e-6, camera_model=model,
    )  # fmt: skip
    alpha = 1 - math.exp(-density * deep * math.sqrt(2 * math.pi))
    assert alphas[0, 6, 9, 0].item() == pytest.approx(alpha, abs=1e-4)
    torch.testing.assert_close(images[0, 6, 9], alpha * torch.tensor([0.2, 0.5, 0.9]), atol=1e-4, rtol=0)


def test_wrong_arguments_are_named() -> None:
    given = scene()
    for wrong, message in (
        ({"step": 0.0}, "'step'"),
        ({"density_threshold": 0.0}, "'density_threshold'"),
        ({"offset": "end"}, "'offset'"),
        ({"camera_model": "fisheye"}, "'camera_model'"),
        ({"tile_size": 7}, "'tile_size'"),
        ({"backgrounds": torch.zeros(3)}, "'backgrounds'"),
    ):
        with pytest.raises(ValueError, match=message):
            cast(given, **wrong)
    with pytest.raises(ValueError, match="'near' and 'far'"):
        raycast(**given, width=WIDTH, height=HEIGHT, step=0.1, near=2.0, far=1.0)
