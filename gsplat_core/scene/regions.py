"""Boxes and spheres that tell which Gaussians of a scene are inside, by their centres."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.quaternions import rotation_matrix


class Region(Protocol):
    def contains(self, points: Tensor) -> Tensor:
        """Which of the points [N, 3] are inside or on its border, bool [N]."""


@dataclass(frozen=True)
class Box:
    """A box between two corners, turned about its middle.

    Args:
        low, high: corners before it is turned, scene units; infinite numbers leave a side open.
        rotation: quaternion (w, x, y, z) of any length but zero.

    Raises:
        UsageError: numbers that are none, corners in the wrong order, or open sides of a turned box.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    rotation: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        numbers = (*self.low, *self.high, *self.rotation)
        if any(math.isnan(number) for number in numbers):
            raise UsageError("A box needs numbers, not nan.")
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise UsageError(
                f"The box from {_shown(self.low)} to {_shown(self.high)} is empty: each number of the first "
                "corner must be less than that of the second."
            )
        if self.turned and not all(map(math.isfinite, numbers)):
            raise UsageError("A box that is turned needs finite numbers: it is turned about its middle.")
        if not any(self.rotation):
            raise UsageError("The rotation of a box is a quaternion w,x,y,z that is not zero.")

    @property
    def turned(self) -> bool:
        return any(self.rotation[1:])

    def contains(self, points: Tensor) -> Tensor:
        low, high = (points.new_tensor(corner, dtype=torch.float64) for corner in (self.low, self.high))
        places = points.detach().double()
        if self.turned:
            middle = (low + high) / 2
            places = (places - middle) @ torch.from_numpy(rotation_matrix(self.rotation)).to(points.device)
            places = places + middle
        return ((places >= low) & (places <= high)).all(dim=1)


@dataclass(frozen=True)
class Sphere:
    """
    Args:
        center: scene units.
        radius: likewise.

    Raises:
        UsageError: numbers that are not finite, or a radius that is not positive.
    """

    center: tuple[float, float, float]
    radius: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.center, self.radius))) or self.radius <= 0:
            raise UsageError(
                f"A sphere needs a finite centre and a positive radius, not {_shown(self.center)} and "
                f"{self.radius:g}."
            )

    def contains(self, points: Tensor) -> Tensor:
        offsets = points.detach().double() - points.new_tensor(self.center, dtype=torch.float64)
        return offsets.square().sum(dim=1) <= self.radius**2


def inside(points: Tensor, regions: Sequence[Region]) -> Tensor:
    """Which of the points [N, 3] are in any of the regions, bool [N]."""
    found = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for region in regions:
        found |= region.contains(points)
    return found


def box_of(text: str) -> Box:
    """A box from "x0,y0,z0,x1,y1,z1", or with ",w,x,y,z" behind, by which it is turned.

    Raises:
        UsageError: something else, or as for `Box`.
    """
    numbers = _numbers(text, (6, 10), "a box is x0,y0,z0,x1,y1,z1, perhaps with ,w,x,y,z to turn it")
    rotation = numbers[6:] or [1.0, 0.0, 0.0, 0.0]
    return Box(tuple(numbers[:3]), tuple(numbers[3:6]), tuple(rotation))  # type: ignore[arg-type]


def sphere_of(text: str) -> Sphere:
    """A sphere from "x,y,z,r".

    Raises:
        UsageError: something else, or as for `Sphere`.
    """
    numbers = _numbers(text, (4,), "a sphere is x,y,z,r")
    return Sphere(tuple(numbers[:3]), numbers[3])  # type: ignore[arg-type]


def _numbers(text: str, counts: tuple[int, ...], form: str) -> list[float]:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(f"{form}, not {text[:80]!r}.") from None
    if len(numbers) not in counts:
        raise UsageError(f"{form}, not {len(numbers)} numbers ({text[:80]!r}).")
    return numbers


def _shown(corner: Sequence[float]) -> str:
    return "(" + ", ".join(f"{number:g}" for number in corner) + ")"
