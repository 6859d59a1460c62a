"""Bodies made of ellipsoids of uniform density, whose line integrals are exact.

A ray o + t d meets the ellipsoid |E^-1 R^T (x - c)| <= 1 over the chord of length 2 sqrt(b^2 - a g) / a with
p = E^-1 R^T (o - c), q = E^-1 R^T d, a = q.q, b = p.q and g = p.p - 1, for a unit d. Where ellipsoids
overlap their densities add, and so do their line integrals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.quaternions import rotation_matrices
from gsplat_core.tomography.grid import Grid, Vector
from gsplat_core.tomography.scanner import Scanner


@dataclass(frozen=True, eq=False)
class Phantom:
    """M ellipsoids, float64.

    Args:
        centres: [M, 3].
        axes: [M, 3] half the lengths of their axes.
        rotations: [M, 3, 3], whose columns are these axes.
        densities: [M], of any sign; their sum is the body's.
    """

    centres: Tensor
    axes: Tensor
    rotations: Tensor
    densities: Tensor

    def line_integrals(self, scanner: Scanner) -> Tensor:
        """[C, H, W] float64 of the rays through the centres of pixels, from source to infinity."""
        origins, directions = scanner.rays()
        total = torch.zeros(origins.shape[:-1], dtype=torch.float64)
        for centre, axes, rotation, density in zip(
            self.centres, self.axes, self.rotations, self.densities, strict=True
        ):
            inverse = rotation / axes  # rows x columns: x @ inverse is in the ellipsoid's own frame
            p, q = (origins - centre) @ inverse, directions @ inverse
            a, b, g = (q * q).sum(-1), (p * q).sum(-1), (p * p).sum(-1) - 1
            total += density * 2 * (b * b - a * g).clamp(min=0).sqrt() / a
        return total

    def volume(self, grid: Grid, samples: int = 4) -> Tensor:
        """[nx, ny, nz] float64 mean densities of voxels, over samples^3 places in each."""
        total = torch.zeros(grid.shape, dtype=torch.float64)
        steps = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples - 0.5
        offsets = torch.cartesian_prod(steps, steps, steps) if samples > 1 else torch.zeros(1, 3).double()
        spacing = torch.tensor(grid.spacing, dtype=torch.float64)
        for centre, axes, rotation, density in zip(
            self.centres, self.axes, self.rotations, self.densities, strict=True
        ):
            reach = ((rotation * axes) ** 2).sum(1).sqrt()
            window = tuple(
                slice(*_range(float(c - r), float(c + r), grid, axis))
                for axis, (c, r) in enumerate(zip(centre, reach, strict=True))
            )
            axes_of = [grid.centres(axis)[part] for axis, part in enumerate(window)]
            if not all(len(places) for places in axes_of):
                continue
            places = torch.stack(torch.meshgrid(*axes_of, indexing="ij"), dim=-1) - centre
            inverse = rotation / axes
            inside = torch.zeros(places.shape[:-1], dtype=torch.float64)
            for offset in offsets:
                inside += (((places + offset * spacing) @ inverse) ** 2).sum(-1) <= 1
            total[window] += density * inside / len(offsets)
        return total


def _range(low: float, high: float, grid: Grid, axis: int) -> tuple[int, int]:
    """The voxels that an interval may touch."""
    origin, spacing, count = grid.origin[axis], grid.spacing[axis], grid.shape[axis]
    first = math.floor((low - origin) / spacing)
    last = math.ceil((high - origin) / spacing)
    return min(max(first, 0), count), min(max(last, 0), count)


def ball(radius: float, density: float, centre: Vector = (0.0, 0.0, 0.0)) -> Phantom:
    """One ball."""
    at = torch.tensor([centre], dtype=torch.float64)
    axes = torch.full_like(at, radius)
    return Phantom(at, axes, torch.eye(3, dtype=torch.float64)[None], at.new_tensor([density]))


# Density, half axes, centre, and Euler angles in degrees, of the head of Shepp and Logan (1974) in three
# dimensions with the contrast of Toft (1996); in [-1, 1]^3.
_HEAD = (
    (1.0, 0.69, 0.92, 0.81, 0.0, 0.0, 0.0, 0.0),
    (-0.8, 0.6624, 0.874, 0.78, 0.0, -0.0184, 0.0, 0.0),
    (-0.2, 0.11, 0.31, 0.22, 0.22, 0.0, 0.0, -18.0),
    (-0.2, 0.16, 0.41, 0.28, -0.22, 0.0, 0.0, 18.0),
    (0.1, 0.21, 0.25, 0.41, 0.0, 0.35, -0.15, 0.0),
    (0.1, 0.046, 0.046, 0.05, 0.0, 0.1, 0.25, 0.0),
    (0.1, 0.046, 0.046, 0.05, 0.0, -0.1, 0.25, 0.0),
    (0.1, 0.046, 0.023, 0.05, -0.08, -0.605, 0.0, 0.0),
    (0.1, 0.023, 0.023, 0.02, 0.0, -0.606, 0.0, 0.0),
    (0.1, 0.023, 0.046, 0.02, 0.06, -0.605, 0.0, 0.0),
)


def shepp_logan() -> Phantom:
    """The head phantom of Shepp and Logan in [-1, 1]^3, with densities from 0 to 1."""
    rows = torch.tensor(_HEAD, dtype=torch.float64)
    turns = rows[:, 7].deg2rad()
    rotations = torch.zeros(len(rows), 3, 3, dtype=torch.float64)
    rotations[:, 0, 0] = rotations[:, 1, 1] = turns.cos()
    rotations[:, 1, 0] = turns.sin()
    rotations[:, 0, 1] = -turns.sin()
    rotations[:, 2, 2] = 1
    return Phantom(rows[:, 4:7], rows[:, 1:4], rotations, rows[:, 0])


def trabecular(seed: int = 0, rods: int = 80) -> Phantom:
    """Something like spongy bone in [-1, 1]^3: thin rods and plates in random directions within soft tissue.

    Args:
        seed: of the rods.
        rods: how many there are.
    """
    random = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=random, dtype=torch.float64)

    directions = torch.nn.functional.normalize(
        torch.randn(rods, 3, generator=random, dtype=torch.float64), dim=1
    )
    centres = 0.6 * directions * uniform(0, 1, rods, 1) ** (1 / 3)
    axes = torch.stack([uniform(0.03, 0.06, rods), uniform(0.03, 0.12, rods), uniform(0.15, 0.3, rods)], 1)
    quats = torch.randn(rods, 4, generator=random, dtype=torch.float64)
    body = torch.tensor([[0.0, 0.0, 0.0]], dtype=torch.float64)
    return Phantom(
        torch.cat([body, centres]),
        torch.cat([body + 0.9, axes]),
        torch.cat([torch.eye(3, dtype=torch.float64)[None], rotation_matrices(quats)]),
        torch.cat([torch.tensor([0.15], dtype=torch.float64), uniform(0.3, 0.6, rods)]),
    )


PHANTOMS = {"shepp-logan": lambda seed: shepp_logan(), "trabecular": trabecular}
"""By name, made with a seed."""


def counted(integrals: Tensor, photons: float, seed: int) -> Tensor:
    """Line integrals as a detector that counts photons measures them.

    Args:
        integrals: [...] exact ones.
        photons: that a pixel counts where nothing is in their way, on average.
        seed: of the noise.

    Returns:
        -log(counts / photons), counts from a Poisson distribution; where none was counted, half of one.
    """
    random = torch.Generator().manual_seed(seed)
    counts = torch.poisson(photons * (-integrals).exp(), generator=random)
    return -(counts.clamp(min=0.5) / photons).log()
