"""gsplat_core/render/unprojection.py: from pixels back to rays, as far as lenses see, with derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from splats import adapted, random_scene
from torch import Tensor

from gsplat_core import reference
from gsplat_core.render.rays import pixel_rays
from gsplat_core.render.unprojection import UNPROJECTIONS
from gsplat_core.render.variants import CAMERAS

AHEAD = torch.eye(4)[None, None]


def test_every_camera_has_rays() -> None:
    assert UNPROJECTIONS.keys() == CAMERAS.keys()


def intrinsics(focal: float, width: int, height: int) -> Tensor:
    """[1, 1, 3, 3]"""
    return torch.tensor([[[[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]]])


def appear(model: str, rays: Tensor, Ks: Tensor, lens: Tensor, width: int, height: int) -> Tensor:
    """[H, W, 2] where the reference sees points on the rays [1, 1, H, W, 3]."""
    points = rays.double().reshape(1, 1, -1, 3)
    numbers = [Ks[..., i, j].double()[..., None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]
    given = reference.Intrinsics(*numbers, lens.double()[:, :, None], width, height)
    there = (points != 0).any(-1, keepdim=True)
    pixels = reference.CAMERAS[model].pixel(
        torch.where(there, points, torch.tensor([0.0, 0, 1]).double()), given
    )
    return pixels.reshape(height, width, 2)


def centres(width: int, height: int) -> Tensor:
    x, y = torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy")
    return torch.stack([x, y], dim=-1).double()


# Of images that are larger than what lenses see of the world; and as how large they see it, as a distance
# from the principal point in focal lengths.
FISHEYE, OPENCV = ("fisheye", 60.0), ("opencv", 60.0)
WIDE: dict[str, tuple[tuple[str, float], list[float], float]] = {
    "ideal": (FISHEYE, [0.0, 0.0, 0.0, 0.0], math.radians(170)),
    # 1 - 0.6 t^2 vanishes at 1.291, where t - 0.2 t^3 is 0.861
    "bends back": (FISHEYE, [-0.2, 0.0, 0.0, 0.0], 0.8607),
    # 1 - 0.9 s^2 vanishes at 1.054, where s - 0.3 s^3 is 0.703
    "barrel": (OPENCV, [-0.3] + 11 * [0.0], 0.7027),
    "distances up to an angle": (("ftheta", 60.0), [1, 0, 0.1, 0, 0, 0, 1.2, 0, 0, 0], 1.2 + 0.1 * 1.44),
    # 1 - 0.4 t vanishes at 2.5, where t - 0.2 t^2 is 1.25
    "distances that fall": (("ftheta", 60.0), [1, 0, -0.2, 0, 0, 0, 0, 0, 0, 0], 1.25),
    "angles up to one": (("ftheta", 60.0), [0, 0, 0.1, 0, 0, 0, 1.1, 0, 0, 0], 1.0),
    "angles that fall": (("ftheta", 60.0), [0, 0, -0.4, 0, 0, 0, 0, 0, 0, 0], 1.25),
}


@pytest.mark.parametrize("name", WIDE)
def test_pixels_have_rays_as_far_as_the_lens_sees(name: str) -> None:
    (model, focal), coefficients, edge = WIDE[name]
    lens = torch.tensor([[coefficients]])
    width = height = 2 * math.ceil(focal * edge * 1.1)
    Ks = intrinsics(focal, width, height)
    rays = pixel_rays(model, AHEAD, Ks, lens, width, height)
    assert rays.isfinite().all()
    there = (rays != 0).any(-1)[0, 0]
    from_centre = (centres(width, height) - width / 2).norm(dim=-1) / focal
    assert there[from_centre < 0.98 * edge].all()
    assert not there[from_centre > 1.01 * edge].any()
    safe = from_centre < 0.98 * edge
    found = appear(model, rays, Ks, lens, width, height)
    torch.testing.assert_close(found[safe], centres(width, height)[safe], atol=3e-3, rtol=0)


def test_a_panorama_ends_at_its_poles() -> None:
    Ks = torch.tensor([[[[20 / math.pi, 0, 20.0], [0, 20 / math.pi, 15.0], [0, 0, 1]]]])
    rays = pixel_rays("equirectangular", AHEAD, Ks, None, 40, 30)[0, 0]
    there = (rays != 0).any(-1)
    assert there[5:25].all()
    assert not there[:5].any()
    assert not there[25:].any()
    torch.testing.assert_close(rays[14, 20], torch.tensor([0.0785, -0.0785, 0.9938]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("way", [0.0, 1.0])
@pytest.mark.parametrize("model", CAMERAS)
def test_derivatives_are_those_of_differences(model: str, way: float) -> None:
    scene = adapted(random_scene(1, width=6, height=5), model)
    t = {name: scene.tensors[name][None].double() for name in scene.tensors}
    Ks = t["Ks"] * torch.tensor([[0.1, 1, 0.1], [1, 0.1, 0.1], [1, 1, 1]]).double()
    given = [t["viewmats"], Ks]
    if model == "ftheta":
        t["lens"][..., 0] = way
    if "lens" in t:
        given.append(t["lens"])
    free = [torch.ones_like(tensor) for tensor in given]
    free[0][..., 3, :] = 0  # not a number of the pose
    free[1] = torch.tensor([[1.0, 0, 1], [0, 1, 1], [0, 0, 0]]).double().expand_as(Ks)
    if model == "ftheta":
        free[2][..., [0, 6]] = 0  # the way round, and the largest angle

    def rays(*changes: Tensor) -> Tensor:
        moved = [tensor + mask * change for tensor, mask, change in zip(given, free, changes, strict=True)]
        lens = moved[2] if len(moved) > 2 else None
        return pixel_rays(model, moved[0], moved[1], lens, 6, 5)

    assert torch.autograd.gradcheck(rays, [torch.zeros_like(g).requires_grad_() for g in given], atol=1e-5)


@pytest.mark.parametrize("model", CAMERAS)
def test_the_principal_point_itself_has_a_ray_and_a_derivative(model: str) -> None:
    Ks = intrinsics(30.0, 9, 7).requires_grad_()
    lens = torch.zeros(1, 1, CAMERAS[model], requires_grad=True) if CAMERAS[model] else None
    rays = pixel_rays(model, AHEAD, Ks, lens, 9, 7)
    torch.testing.assert_close(rays[0, 0, 3, 4, :3], torch.tensor([0.0, 0, 1]))
    rays.square().sum().backward()
    for tensor in (Ks, lens):
        assert tensor is None or (tensor.grad is not None and tensor.grad.isfinite().all())


@pytest.mark.parametrize("model", [model for model, count in CAMERAS.items() if count])
def test_no_coefficients_are_too_strange(model: str) -> None:
    g = torch.Generator().manual_seed(0)
    for size in (0.3, 3.0, 100.0):
        lens = size * torch.randn(1, 8, CAMERAS[model], generator=g)
        lens.requires_grad_()
        Ks = intrinsics(12.0, 30, 20).expand(1, 8, 3, 3)
        rays = pixel_rays(model, AHEAD.expand(1, 8, 4, 4), Ks, lens, 30, 20)
        assert rays.isfinite().all()
        rays.sum().backward()
        assert lens.grad is not None
        assert lens.grad.isfinite().all()


def test_rays_of_a_camera_at_rest_are_found_once_and_those_of_another_are_others() -> None:
    Ks, lens = intrinsics(30.0, 20, 10), torch.tensor([[[-0.1, 0.0, 0, 0]]])
    first = pixel_rays("fisheye", AHEAD, Ks, lens, 20, 10)
    assert torch.equal(pixel_rays("fisheye", AHEAD, Ks.clone(), lens.clone(), 20, 10), first)
    assert not torch.equal(pixel_rays("fisheye", AHEAD, 1.1 * Ks, lens, 20, 10), first)
    assert not torch.equal(pixel_rays("fisheye", AHEAD, Ks, 0 * lens, 20, 10), first)
    trained = lens.clone().requires_grad_()
    torch.testing.assert_close(pixel_rays("fisheye", AHEAD, Ks, trained, 20, 10), first)
