"""Density fields of Gaussians as they are trained: raw parameters, and how they start from a volume.

Densities are softplus of raw numbers, standard deviations lie between 0.0005 and 0.5 of the volume's size
along a sigmoid (Zha et al. 2024, "R2-Gaussian"). The volume is in [-1, 1]^3 (`Scan.in_unit_box`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gsplat_core.activations import sigmoid
from gsplat_core.ops.neighbors import knn
from gsplat_core.radiative import project, voxelize
from gsplat_core.scene.schema import Activation, Field
from gsplat_core.tomography.grid import Grid
from gsplat_core.tomography.scanner import Scanner

SIZE = 2.0
"""Of the volume."""
FINEST, WIDEST = 0.0005 * SIZE, 0.5 * SIZE
_NEIGHBORS = 3

_SOFTPLUS = Activation(torch.nn.functional.softplus, lambda value: value + torch.log(-torch.expm1(-value)))
_SIZES = Activation(
    lambda raw: FINEST + (WIDEST - FINEST) * sigmoid(raw),
    # Those of halves may be too small.
    lambda value: torch.logit((value - FINEST) / (WIDEST - FINEST), eps=1e-6),
)

FIELDS = {
    field.name: field
    for field in (
        Field("means", (3,), "geometry", "none", 2e-4, "point", blank=None),
        Field("quats", (4,), "geometry", "none", 1e-3, "rotation", blank=(1.0, 0.0, 0.0, 0.0)),
        Field("scales", (3,), "geometry", _SIZES, 5e-3, blank=None),
        Field("densities", (), "trained", _SOFTPLUS, 0.01, blank=None),
    )
}
"""What a Gaussian has, with the learning rates of R2-Gaussian."""


class DensityField(NamedTuple):
    """Gaussians whose sum is a density; lengths and densities in the same unit as the scan they belong to."""

    means: Tensor  # [N, 3]
    quats: Tensor  # [N, 4]
    scales: Tensor  # [N, 3] standard deviations
    densities: Tensor  # [N]

    def projections(self, scanner: Scanner) -> Tensor:
        """[C, H, W] the line integrals that a scanner measures. Differentiable."""
        return project(
            *self, scanner.viewmats.to(self.means), scanner.Ks.to(self.means), scanner.width, scanner.height,
            beam=scanner.beam,
        )  # fmt: skip

    def volume(self, grid: Grid) -> Tensor:
        """[nx, ny, nz] the densities at the centres of voxels. Differentiable."""
        return voxelize(*self, origin=grid.origin, spacing=grid.spacing, shape=grid.shape)

    def moved(self, scale: float, centre: tuple[float, float, float]) -> DensityField:
        """The field after x -> x / scale + centre, the inverse of `Scanner.moved`."""
        return self._replace(
            means=self.means / scale + self.means.new_tensor(centre), scales=self.scales / scale
        )


def activated(raw: Mapping[str, Tensor]) -> DensityField:
    """The field of raw parameters by name. Differentiable."""
    return DensityField(**{name: field.value(raw[name]) for name, field in FIELDS.items()})


def started(volume: Tensor, grid: Grid, *, count: int, least: float, share: float, seed: int) -> DensityField:
    """Gaussians in voxels of a rough volume, as wide as the distance to their neighbours.

    Args:
        volume: [nx, ny, nz] densities.
        count: of voxels at most, drawn at random.
        least: density from which on a voxel is one of them, as a share of the largest.
        share: of a voxel's density that its Gaussian gets.
        seed: of the draw.

    Raises:
        ValueError: too few voxels have a density.
    """
    voxels = (volume > least * volume.max()).nonzero()
    if len(voxels) <= _NEIGHBORS:
        raise ValueError("hardly anything is in the volume")
    random = torch.Generator().manual_seed(seed)
    chosen = voxels[torch.randperm(len(voxels), generator=random)[:count].sort().values]
    at = tuple(chosen.T)
    means = grid.points()[at].float().contiguous()
    _, squares = knn(means, _NEIGHBORS)
    widths = squares.mean(dim=1).sqrt().clamp(2 * FINEST, 0.5 * WIDEST)
    return DensityField(
        means,
        means.new_tensor(FIELDS["quats"].blank).repeat(len(means), 1),
        widths[:, None].repeat(1, 3),
        share * volume[at].float(),
    )


def inverted(field: DensityField) -> dict[str, Tensor]:
    """The raw parameters of a field."""
    return {name: kind.raw(getattr(field, name)).contiguous() for name, kind in FIELDS.items()}
