"""Preconditioned conjugate gradients (Hestenes and Stiefel 1952) for a few iterations on a damped system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from gsplat_core.second_order.vectors import Vector, add_, dot, zeros_like

Operator = Callable[[Vector], dict[str, Tensor]]


@dataclass(frozen=True)
class Solution:
    """Where conjugate gradients stopped."""

    x: dict[str, Tensor]
    product: dict[str, Tensor]
    """The matrix times `x`."""
    iterations: int
    residual: float
    """Its norm in the preconditioner's metric, relative to that of the right-hand side."""


def solve(
    matrix: Operator,
    right: Vector,
    precondition: Operator,
    max_iterations: int = 8,
    tolerance: float = 5e-2,
) -> Solution:
    """Approximately solves ``matrix(x) = right`` from x = 0.

    Every iterate lowers the quadratic ``x^T A x / 2 - x^T right``, so any of them is a step downhill.

    Args:
        matrix: a symmetric positive definite operator; called once per iteration.
        precondition: an approximation of its inverse, symmetric positive definite.
        tolerance: stop when the residual is this small relative to the right-hand side.
    """
    x, product = zeros_like(right), zeros_like(right)
    residual = {name: tensor.clone() for name, tensor in right.items()}
    z = precondition(residual)
    direction = {name: tensor.clone() for name, tensor in z.items()}
    rz = first = dot(residual, z)
    iterations = 0
    while iterations < max_iterations and rz > tolerance**2 * first:
        image = matrix(direction)
        curvature = dot(direction, image)
        if curvature <= 0:  # rounding: the direction is in the null space as far as float32 can tell
            break
        step = rz / curvature
        add_(x, direction, step)
        add_(product, image, step)
        add_(residual, image, -step)
        iterations += 1
        z = precondition(residual)
        rz, before = dot(residual, z), rz
        for name, tensor in direction.items():
            tensor.mul_(rz / before).add_(z[name])
    return Solution(x, product, iterations, (max(rz, 0.0) / first) ** 0.5 if first > 0 else 0.0)
