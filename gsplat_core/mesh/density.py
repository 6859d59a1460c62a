"""How dense a scene is at a point: the sum of what its nearest Gaussians are there (Guédon and Lepetit 2024,
"SuGaR", eq. 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.errors import UsageError
from gsplat_core.ops.neighbors import knn
from gsplat_core.primitive import Evaluated
from gsplat_core.quaternions import rotation_matrices

NEIGHBORS = 16
"""So many Gaussians add up to the density at a point."""
# Of a Gaussian's largest scale: what is thinner is taken to be so thick, or the inverse would be infinite.
_THINNEST = 1e-4


def deviations(gaussians: Evaluated) -> Tensor:
    """[N, 3] the standard deviations of Gaussians with scales along their axes: of surfels, which do not heed
    their third scale, the third is 0."""
    assert gaussians.scales is not None
    if gaussians.response != "surfel":
        return gaussians.scales
    return gaussians.scales * gaussians.scales.new_tensor([1, 1, 0])


def whitenings(gaussians: Evaluated) -> Tensor:
    """[N, 3, 3] M = S^-1 R^T of Gaussians with scales: |M (x - m)| counts standard deviations."""
    assert gaussians.quats is not None
    scales = deviations(gaussians)
    scales = torch.maximum(scales, scales.amax(dim=1, keepdim=True) * _THINNEST)
    return rotation_matrices(gaussians.quats).mT / scales[..., None]


def nearest(means: Tensor, count: int = NEIGHBORS) -> Tensor:
    """[N, K] each Gaussian and those with the nearest centres; K = count, or N if that is less."""
    own = torch.arange(len(means), device=means.device)[:, None]
    others = min(count, len(means)) - 1
    return torch.cat([own, knn(means.detach().float(), others)[0]], dim=1) if others > 0 else own


@dataclass(frozen=True, eq=False)
class Density:
    """d(x) = sum of o_j exp(-|M_j (x - m_j)|^2 / 2) over the neighbours j of the Gaussian that x belongs to.

    A point's own sixteen neighbours would be nearly the same and have to be searched for each point; and
    those of one Gaussian make a sum without jumps around it.

    Args:
        means: [N, 3]
        whitenings: [N, 3, 3], see `whitenings`.
        opacities: [N]
        neighbors: [N, K] int64, see `nearest`.
    """

    means: Tensor
    whitenings: Tensor
    opacities: Tensor
    neighbors: Tensor

    @classmethod
    def of(cls, gaussians: Evaluated, neighbors: Tensor | None = None) -> Density:
        """
        Args:
            neighbors: [N, K] of the same Gaussians if they are known.

        Raises:
            UsageError: they have covariances instead of scales and rotations.
        """
        if gaussians.quats is None or gaussians.scales is None:
            raise UsageError("Densities are of Gaussians with scales and rotations; use --method tsdf.")
        rows = nearest(gaussians.means) if neighbors is None else neighbors
        return cls(gaussians.means, whitenings(gaussians), gaussians.opacities, rows)

    def each(self, points: Tensor, owners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[P, K] what each neighbour is at the points, [P, K, 3] how far these are in standard deviations
        along its axes, and [P, K] which they are."""
        rows = self.neighbors[owners]
        away = torch.einsum("pkij,pkj->pki", self.whitenings[rows], points[:, None] - self.means[rows])
        return self.opacities[rows] * torch.exp(-0.5 * away.square().sum(-1)), away, rows

    def at(self, points: Tensor, owners: Tensor) -> Tensor:
        """[P] the density at points [P, 3] that belong to the Gaussians `owners` [P]; differentiable."""
        return self.each(points, owners)[0].sum(dim=1)

    def gradient(self, points: Tensor, owners: Tensor) -> Tensor:
        """[P, 3] its derivative with respect to the points: it points to the inside of things."""
        densities, away, rows = self.each(points, owners)
        pulls = torch.einsum("pkji,pkj->pki", self.whitenings[rows], away)
        return -(densities[..., None] * pulls).sum(dim=1)

    def along(self, starts: Tensor, rays: Tensor, owners: Tensor, steps: Tensor) -> Tensor:
        """[P, S] the density at the points `starts + steps * rays`.

        On a line, a Gaussian is one of a single variable: it costs two numbers for each line, and one
        exponential for each point.

        Args:
            starts, rays: [P, 3]
            owners: [P] of all points of a line.
            steps: [P, S]
        """
        total = torch.zeros_like(steps)
        for rows in self.neighbors[owners].unbind(dim=1):
            whitening = self.whitenings[rows]
            along = torch.einsum("pij,pj->pi", whitening, rays)
            start = torch.einsum("pij,pj->pi", whitening, starts - self.means[rows])
            squared = (along * along).sum(-1, keepdim=True).clamp(min=1e-30)
            foot = -(along * start).sum(-1, keepdim=True) / squared
            missed = (start + foot * along).square().sum(-1, keepdim=True)
            total += self.opacities[rows, None] * torch.exp(-0.5 * (missed + squared * (steps - foot) ** 2))
        return total
