"""From pixels back to directions, for any camera that can be asked where a direction appears: the nearest one
of many directions is moved until it appears at the pixel, by Newton's method."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gsplat_core.reference.cameras import Camera, Intrinsics

CANDIDATES = 20_000  # one in every 1.4 degrees
STEPS = 40


def directions(camera: Camera, pixels: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Unit vectors [P, 3] that appear at pixels [P, 2], zero where there is none; differentiable.

    Args:
        intrinsics: of one camera, tensors [1] and [1, coefficients].
    """
    still = _constants(intrinsics)
    with torch.no_grad():
        candidates = _sphere(CANDIDATES)
        seen = camera.sees(candidates, still, 0.0).visible
        candidates = candidates[seen]
        nearest = torch.cdist(pixels.detach(), camera.pixel(candidates, still)).argmin(-1)
        found = candidates[nearest]
        for _ in range(STEPS):
            found = _step(camera, found, pixels, still)
        off = (camera.pixel(found, still) - pixels).norm(dim=-1)
        there = (off < 1e-6) & camera.sees(found, still, 0.0).visible
        found = torch.where(there[:, None], found, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    # Each further step makes one more derivative right.
    return torch.where(there[:, None], _step(camera, found, pixels, intrinsics), 0.0)


def _step(camera: Camera, at: Tensor, pixels: Tensor, intrinsics: Intrinsics) -> Tensor:
    """Newton's, of at most a tenth of a radian, across the direction."""
    still = _constants(intrinsics)
    helper = torch.where(
        at[:, :1].abs() < 0.7, torch.tensor([1.0, 0, 0]).double(), torch.tensor([0, 1.0, 0]).double()
    )
    first = torch.nn.functional.normalize(torch.linalg.cross(at, helper), dim=-1)
    across = torch.stack([first, torch.linalg.cross(at, first)], dim=-1)
    jacobian = (camera.jacobian(at, still) @ across).detach()
    miss = camera.pixel(at, intrinsics) - pixels
    step = torch.linalg.lstsq(jacobian, miss[..., None]).solution
    length = step.detach().norm(dim=-2, keepdim=True)
    step = step * (0.1 / length.clamp(min=1e-30)).clamp(max=1.0)
    return torch.nn.functional.normalize(at - (across @ step)[..., 0], dim=-1)


def _constants(intrinsics: Intrinsics) -> Intrinsics:
    fx, fy, cx, cy, lens, width, height = intrinsics
    return Intrinsics(fx.detach(), fy.detach(), cx.detach(), cy.detach(), lens.detach(), width, height)


def _sphere(count: int) -> Tensor:
    """Points [count, 3] spread evenly, on a spiral (Fibonacci's lattice)."""
    z = 1 - (2 * torch.arange(count, dtype=torch.float64) + 1) / count
    turn = math.pi * (3 - math.sqrt(5)) * torch.arange(count, dtype=torch.float64)
    aside = (1 - z.square()).sqrt()
    return torch.stack([aside * turn.cos(), aside * turn.sin(), z], dim=-1)
