"""Places in the scene where a view is wrong (Yang et al. 2024, "Localized Gaussian Point Management")."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.densify.two_views import center, closest_points, rays
from gsplat_core.densify.views import Lens

_RAYS_PER_SIDE = 16
_FEWEST_PAIRS = 8
# Rays to a flat region may all meet in a plane; a zone is at least this fraction of its diagonal thick.
_THICKNESS = 0.1


@dataclass(frozen=True, eq=False)
class Zones:
    """Axis-aligned boxes.

    Args:
        lower, upper: [Z, 3] corners.
    """

    lower: Tensor
    upper: Tensor

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def centers(self) -> Tensor:
        """[Z, 3]"""
        return (self.lower + self.upper) / 2

    @property
    def radii(self) -> Tensor:
        """[Z] half of each box's smallest side."""
        return (self.upper - self.lower).amin(dim=1) / 2

    def contain(self, points: Tensor) -> Tensor:
        """[N] whether points [N, 3] lie in any box."""
        found = torch.zeros(len(points), dtype=torch.bool, device=points.device)
        for lower, upper in zip(self.lower.to(points), self.upper.to(points), strict=True):
            found |= ((points > lower) & (points < upper)).all(dim=1)
        return found


def bounding_box(pixels: Tensor) -> Tensor:
    """[4] x0, y0, x1, y1 of pixels [M, 2], M >= 1."""
    return torch.cat([pixels.amin(dim=0), pixels.amax(dim=0)])


def zone(first: Lens, box: Tensor, second: Lens, other_box: Tensor, largest: float) -> Zones:
    """The place that two corresponding boxes of two views look at.

    Rays through corresponding places on the boxes' borders, such as the middles of the upper sides, are
    paired. The zone is the box around the points where they come closest.

    Args:
        first, second: the cameras.
        box, other_box: [4] x0, y0, x1, y1 in pixels.
        largest: a zone with a longer diagonal is none.

    Returns:
        one zone, or none where rays do not meet in front of the cameras.
    """
    none = Zones(torch.zeros(0, 3), torch.zeros(0, 3))
    if bool((box[2:] <= box[:2]).any()) or bool((other_box[2:] <= other_box[:2]).any()):
        return none
    points = torch.cat(
        closest_points(
            center(first), rays(first, _border(box)), center(second), rays(second, _border(other_box))
        )
    )
    if len(points) < 2 * _FEWEST_PAIRS:
        return none
    lower, upper = points.amin(dim=0), points.amax(dim=0)
    diagonal = float((upper - lower).norm())
    if not diagonal <= largest:
        return none
    padding = (_THICKNESS * diagonal - (upper - lower)).clamp(min=0) / 2
    return Zones((lower - padding)[None], (upper + padding)[None])


def union(zones: list[Zones]) -> Zones:
    return Zones(
        torch.cat([torch.zeros(0, 3), *(z.lower for z in zones)]),
        torch.cat([torch.zeros(0, 3), *(z.upper for z in zones)]),
    )


def _border(box: Tensor) -> Tensor:
    """[M, 2] pixels along the border of a box, the same fractions of its sides for every box."""
    t = torch.arange(_RAYS_PER_SIDE) / _RAYS_PER_SIDE
    zero, one = torch.zeros_like(t), torch.ones_like(t)
    x = torch.cat([t, one, 1 - t, zero])
    y = torch.cat([zero, t, one, 1 - t])
    return box[:2] + torch.stack([x, y], dim=1) * (box[2:] - box[:2])


def inside_sphere(zones: Zones, index: int, points: Tensor) -> Tensor:
    """[N] whether points lie within the radius of one zone's centre."""
    return (points - zones.centers[index].to(points)).norm(dim=1) <= float(zones.radii[index])


def in_front(zones: Zones, index: int, camera: Tensor, points: Tensor) -> Tensor:
    """[N] whether points [N, 3] stand between a camera [3] and one zone: in the cone from the camera around
    the zone's sphere, and nearer than the sphere."""
    toward = (zones.centers[index] - camera).to(points)
    height, radius = float(toward.norm()), float(zones.radii[index])
    offset = points - camera.to(points)
    distance = offset.norm(dim=1)
    along = offset @ (toward / max(height, 1e-12))
    # The angle to the axis is at most atan(radius / height).
    within = (along > 0) & (offset - along[:, None] * toward / max(height, 1e-12)).norm(dim=1).le(
        along * radius / max(height, 1e-12)
    )
    return within & (distance <= (height - radius if height > radius else height))
