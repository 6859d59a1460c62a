"""The reference of radiative fields against integrals that are made step by step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gsplat_core.reference import radiative
from gsplat_core.reference.gaussians import frames

TINY = 1e-30  # no contribution is left out


def _density(points: Tensor, mean: Tensor, quat: Tensor, scales: Tensor) -> Tensor:
    offsets = (points - mean) @ frames(quat, scales, None).mT
    return (-0.5 * offsets.square().sum(-1)).exp()


def _camera(distance: float, focal: float) -> tuple[Tensor, Tensor]:
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[2, 3] = distance
    K = torch.tensor([[focal, 0, 8], [0, focal, 8], [0, 0, 1]], dtype=torch.float64)
    return viewmat[None], K[None]


@pytest.mark.parametrize("beam", ["cone", "parallel"])
def test_a_pixel_is_the_integral_along_its_ray(beam: str) -> None:
    torch.manual_seed(1)
    quat, scales = torch.randn(4, dtype=torch.float64), torch.tensor([0.02, 0.05, 0.09], dtype=torch.float64)
    viewmats, Ks = _camera(4.0, 100.0 if beam == "cone" else 25.0)
    # Its centre is in the middle of a pixel, beside the axis.
    aside = torch.tensor([0.1, -0.06, 0.0], dtype=torch.float64)
    Ks[0, :2, 2] = 10.5 - Ks[0, 0, 0] * aside[:2] / (4.0 if beam == "cone" else 1.0)
    field = (aside[None], quat[None], scales[None], torch.ones(1))
    image = radiative.project(*field, viewmats, Ks, 16, 16, beam, TINY)[0].detach()
    t = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    ahead = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)

    def integral(column: int) -> float:
        pixel = torch.tensor([column + 0.5, 10.5], dtype=torch.float64)
        sideways = torch.cat([(pixel - Ks[0, :2, 2]) / Ks[0, 0, 0], torch.zeros(1, dtype=torch.float64)])
        source = -4 * ahead if beam == "cone" else sideways - ahead
        ray = (sideways + ahead if beam == "cone" else ahead) / (sideways + ahead).norm() ** (beam == "cone")
        nearest = (aside - source) @ ray
        points = source + (nearest + t)[:, None] * ray
        return float(torch.trapezoid(_density(points, aside, quat, scales), t))

    assert float(image[10, 10]) == pytest.approx(integral(10), rel=1e-9)
    # Around it, a cone's footprint is affine; a parallel beam's is exact.
    assert float(image[10, 12]) == pytest.approx(integral(12), rel=2e-2 if beam == "cone" else 1e-9)


def test_a_volume_and_a_parallel_beam_through_it_hold_the_same_mass() -> None:
    torch.manual_seed(2)
    mean, quat = torch.randn(1, 3, dtype=torch.float64) * 0.1, torch.randn(1, 4, dtype=torch.float64)
    scales = torch.tensor([[0.1, 0.15, 0.2]], dtype=torch.float64)
    field = (mean, quat, scales, torch.tensor([0.7]))
    viewmats, Ks = _camera(0.0, 8.0)
    steps = (0.125, 0.1, 0.2)
    image = radiative.project(*field, viewmats, Ks, 16, 16, "parallel", TINY)
    volume = radiative.voxelize(*field, (-1, -1, -1), steps, (16, 20, 10), TINY)
    mass = 0.7 * math.prod(scales[0].tolist()) * (2 * math.pi) ** 1.5
    assert float(image.sum() / 64) == pytest.approx(mass, rel=1e-3)
    assert float(volume.sum() * 0.125 * 0.1 * 0.2) == pytest.approx(mass, rel=1e-3)
    densest = torch.unravel_index(volume.argmax(), volume.shape)
    assert [int(i) for i in densest] == [int(x // step) for x, step in zip(mean[0] + 1, steps, strict=True)]
