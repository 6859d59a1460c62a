"""gsplat_core/reference/cameras.py against closed forms and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gsplat_core.reference import CAMERAS, Intrinsics


def intrinsics_for(camera: str) -> Intrinsics:
    fx, fy, cx, cy = torch.tensor([100.0, 90.0, 16.5, 12.5]).double()
    middle = [sum(usual) / 2 for usual in CAMERAS[camera].coefficients]
    return Intrinsics(fx, fy, cx, cy, torch.tensor([middle]).double(), 33, 25)


def points() -> Tensor:
    g = torch.Generator().manual_seed(0)
    return torch.randn(20, 3, generator=g).double() * 0.3 + torch.tensor([0.0, 0.0, 3.0])


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_jacobian_is_the_derivative_of_the_pixel(camera: str) -> None:
    at, intrinsics, step = points(), intrinsics_for(camera), 1e-5
    jacobian = CAMERAS[camera].jacobian(at, intrinsics)
    for axis in range(3):
        moved = step * torch.eye(3, dtype=torch.float64)[axis]
        ends = [CAMERAS[camera].pixel(at + sign * moved, intrinsics) for sign in (1, -1)]
        assert torch.allclose(jacobian[..., axis], (ends[0] - ends[1]) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_jacobian_is_differentiable(camera: str) -> None:
    kind, given = CAMERAS[camera], intrinsics_for(camera)
    leaves = [value.clone().requires_grad_() for value in (points(), *given[:5])]

    def jacobian(at: Tensor, *values: Tensor) -> Tensor:
        return kind.jacobian(at, Intrinsics(*values, given.width, given.height))

    assert torch.autograd.gradcheck(jacobian, leaves)


def test_the_jacobian_of_the_pinhole_camera() -> None:
    x, y, z = points().unbind(-1)
    zero = torch.zeros_like(x)
    expected = torch.stack([100 / z, zero, -100 * x / z**2, zero, 90 / z, -90 * y / z**2], dim=-1)
    jacobian = CAMERAS["pinhole"].jacobian(points(), intrinsics_for("pinhole"))
    assert torch.allclose(jacobian.flatten(-2), expected, atol=1e-12)


def test_the_pinhole_camera_is_linearized_near_the_image() -> None:
    edge = (16.5 + 0.15 * 33) / 100  # 0.15 widths beyond the border
    given = torch.tensor([[edge / 2, 0.0, 1.0], [2 * edge, 0.0, 1.0], [-4 * edge, 0.0, 2.0]]).double()
    found, _ = CAMERAS["pinhole"].linearized_at(given, intrinsics_for("pinhole"), 1e-3)
    assert torch.allclose(found[:, 0], torch.tensor([edge / 2, edge, -2 * edge]).double())
    assert torch.equal(found[:, 1:], given[:, 1:])


def test_the_orthographic_camera_does_not_see_distance() -> None:
    intrinsics = intrinsics_for("ortho")
    pixel = CAMERAS["ortho"].pixel(points(), intrinsics)
    assert torch.equal(pixel, CAMERAS["ortho"].pixel(points() + torch.tensor([0, 0, 7.0]), intrinsics))
    assert torch.allclose(pixel, points()[:, :2] * torch.tensor([100, 90]) + torch.tensor([16.5, 12.5]))
