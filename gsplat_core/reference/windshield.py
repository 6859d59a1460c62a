"""A pane before the camera that bends light: where points behind it seem to be, and where rays come from.

Directions are the sines of two angles (the first two numbers of a unit vector); polynomials in the angles
make one direction of the other. Derivatives are taken by autograd.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Pane(NamedTuple):
    """Coefficients of both polynomials, and whether they make directions at the lens of those outside."""

    horizontal: Tensor
    vertical: Tensor
    towards_lens: bool = True


def polynomial(terms: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """sum_j (sum_i c a^i) b^j, i + j at most the degree, with c in this order."""
    degree = (math.isqrt(8 * len(terms) + 1) - 3) // 2
    powers = [a**i * b**j for j in range(degree + 1) for i in range(degree + 1 - j)]
    return (torch.stack(powers, dim=-1) * terms.double()).sum(-1)


def bent(pane: Pane, sines: Tensor) -> Tensor:
    """[..., 2] as the polynomials say."""
    a, b = sines.asin().unbind(-1)
    return torch.stack([polynomial(t, a, b) for t in (pane.horizontal, pane.vertical)], dim=-1).sin()


def unbent(pane: Pane, sines: Tensor) -> Tensor:
    """[..., 2] the other way round, by Newton's method. Each of its last two steps makes one more derivative
    right."""
    constant = Pane(pane.horizontal.detach(), pane.vertical.detach(), pane.towards_lens)
    found = sines.detach()
    for _ in range(20):
        found = _step(constant, found, sines.detach()).detach()
    return _step(pane, _step(pane, found, sines), sines)


def _step(pane: Pane, at: Tensor, sines: Tensor) -> Tensor:
    with torch.enable_grad():
        at = at if at.requires_grad else at.detach().requires_grad_()
        reached = bent(pane, at)
        rows = [torch.autograd.grad(sine.sum(), at, create_graph=True)[0] for sine in reached.unbind(-1)]
        slopes = torch.stack(rows, dim=-2)
        return at - torch.linalg.solve(slopes, (reached - sines)[..., None])[..., 0]


def _turned(pane: Pane, points: Tensor, towards_lens: bool) -> Tensor:
    """Points [..., 3] in front of the camera, on their spheres around it."""
    length = points.norm(dim=-1, keepdim=True)
    sines = (bent if pane.towards_lens == towards_lens else unbent)(pane, points[..., :2] / length)
    ahead = (1 - sines.square().sum(-1, keepdim=True)).sqrt()
    return length * torch.cat([sines, ahead], dim=-1)


def behind(pane: Pane, points: Tensor, covars: Tensor) -> tuple[Tensor, Tensor]:
    """Points [..., 3] and covariances [..., 3, 3] in the camera's axes as the lens has them; what is not
    ahead stays what it is."""
    ahead = points.isfinite().all(-1) & (points[..., 2] > 1e-6 * points.norm(dim=-1))
    safe = torch.where(ahead[..., None], points, torch.tensor([0.0, 0.0, 1.0]).double())
    with torch.enable_grad():
        at = safe if safe.requires_grad else safe.detach().requires_grad_()
        moved = _turned(pane, at, towards_lens=True)
        rows = [torch.autograd.grad(number.sum(), at, create_graph=True)[0] for number in moved.unbind(-1)]
    derivative = torch.stack(rows, dim=-2)
    return (
        torch.where(ahead[..., None], moved, points),
        torch.where(ahead[..., None, None], derivative @ covars @ derivative.mT, covars),
    )


def outside(pane: Pane, directions: Tensor) -> Tensor:
    """Directions [..., 3] at the lens as they are outside, of length 1."""
    ahead = directions[..., 2] > 1e-6 * directions.norm(dim=-1)
    safe = torch.where(ahead[..., None], directions, torch.tensor([0.0, 0.0, 1.0]).double())
    unit = torch.nn.functional.normalize(safe, dim=-1)
    return torch.where(ahead[..., None], _turned(pane, unit, towards_lens=False), directions)
