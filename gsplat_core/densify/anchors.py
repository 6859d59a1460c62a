"""A grid of places, each of which is for one Gaussian at most (He et al. 2024, "GVGEN")."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class AnchorGrid:
    """Anchors at the knots of a regular grid, numbered with z running fastest.

    Args:
        low: [3] the first anchor.
        cell: [3] from one anchor to the next along each axis, in scene units.
        side: anchors along each axis.
    """

    low: Tensor
    cell: Tensor
    side: int

    @property
    def count(self) -> int:
        return self.side**3

    def places(self, anchors: Tensor) -> Tensor:
        """[M, 3] where anchors [M] are."""
        knots = torch.stack([anchors // self.side**2, anchors // self.side % self.side, anchors % self.side])
        return self.low + knots.T.to(self.low) * self.cell

    def offsets(self, places: Tensor, anchors: Tensor) -> Tensor:
        """[M, 3] of places [M, 3] from anchors [M], in cells. Differentiable."""
        return (places - self.places(anchors)) / self.cell

    def match(self, places: Tensor, free: Tensor, reach: float) -> Tensor:
        """[P] an anchor for each place [P, 3], no anchor twice; -1 where there is none.

        Each place asks for the nearest free anchor, in Chebyshev distance, and the nearest of those that ask
        gets it; the others ask again. So whoever gets none has no free anchor left within reach.

        Args:
            free: [count] bool, the anchors to be had.
            reach: in cells, exclusive.
        """
        free = free.clone()
        matched = torch.full((len(places),), -1, device=places.device)
        cells = ((places - self.low) / self.cell).nan_to_num(math.inf)
        cells = cells.clamp(-2 * reach - 1, self.side + 2 * reach)  # far outside is as far as any
        waiting = torch.arange(len(places), device=places.device)
        while len(waiting):
            anchors, distances = self._nearest(cells[waiting], free, reach)
            some = distances < reach
            waiting, anchors, distances = waiting[some], anchors[some], distances[some]
            # By anchor, those of one anchor by distance.
            order = distances.argsort(stable=True)
            order = order[anchors[order].argsort(stable=True)]
            wanted = anchors[order]
            first = torch.ones_like(wanted, dtype=torch.bool)
            first[1:] = wanted[1:] != wanted[:-1]
            matched[waiting[order[first]]] = wanted[first]
            free[wanted[first]] = False
            waiting = waiting[order[~first]].sort().values
        return matched

    def _nearest(self, cells: Tensor, free: Tensor, reach: float) -> tuple[Tensor, Tensor]:
        """[P] the free anchor nearest to each place, which is given in cells, and [P] how far it is; infinity
        where none of those around is free."""
        around = range(-math.ceil(reach - 0.5), math.ceil(reach - 0.5) + 1)
        steps = torch.tensor(list(itertools.product(around, repeat=3)), device=cells.device)
        knots = cells.round().long()[:, None] + steps
        inside = ((knots >= 0) & (knots < self.side)).all(dim=-1)
        x, y, z = knots.clamp(0, self.side - 1).unbind(dim=-1)
        anchors = (x * self.side + y) * self.side + z
        distances = (cells[:, None] - knots).abs().amax(dim=-1)
        distances = distances.masked_fill(~(inside & free[anchors]), math.inf)
        nearest = distances.argmin(dim=1, keepdim=True)
        return anchors.gather(1, nearest).squeeze(1), distances.gather(1, nearest).squeeze(1)


def as_volume(params: Mapping[str, Tensor], anchors: Tensor, side: int) -> dict[str, Tensor]:
    """The fields [side^3, ...] of Gaussians that hold all anchors, [side^3] a permutation, as volumes [side,
    side, side, ...], which is what networks work on.

    Raises:
        ValueError: there are not as many, or an anchor is held twice.
    """
    order = anchors.argsort(stable=True)
    if not torch.equal(anchors[order], torch.arange(side**3, device=anchors.device)):
        raise ValueError(f"a volume of side {side} has {side**3} Gaussians, each with an anchor of its own")
    return {name: value[order].unflatten(0, (side,) * 3) for name, value in params.items()}


def from_volume(volumes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The fields [side^3, ...] of volumes, in the order of anchors."""
    return {name: value.flatten(0, 2) for name, value in volumes.items()}
