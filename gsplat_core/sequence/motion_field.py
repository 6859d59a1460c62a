"""Where Gaussians of a frame are in the next one: a field over space (3DGStream, Sun et al. 2024; AT-GS, Chen
et al. 2024).

A place is looked up in grids of several resolutions, of which fine ones share the rows of a table by a hash
(Müller et al. 2022), and a small network makes of what it finds there a shift and a rotation. Gaussians that
are near each other so move together, whatever pixels they show. What lies outside of the middle of the scene
stays.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.quaternions import multiply
from gsplat_core.ranges import COUNT, Range, check_ranges


@dataclass(frozen=True)
class MotionFieldConfig:
    """As published.

    Args:
        levels: resolutions, each `growth` times the one before.
        features: numbers in each cell's corner.
        table: rows that a resolution has at most.
        coarsest: cells along each side of the first resolution.
        width, depth: of the network's hidden layers.
        margin: the field covers the box of what lies between this quantile and its opposite, along each axis.

    Raises:
        ValueError: a value outside its range.
    """

    levels: Annotated[int, Range(1, 32)] = 16
    features: Annotated[int, Range(1, 64)] = 4
    table: Annotated[int, Range(8, 2**24)] = 2**15
    coarsest: Annotated[int, COUNT] = 16
    growth: Annotated[float, Range(1, 8)] = 2.0
    width: Annotated[int, Range(1, 4096)] = 64
    depth: Annotated[int, Range(1, 16)] = 2
    margin: Annotated[float, Range(0, 0.49)] = 0.067

    def __post_init__(self) -> None:
        check_ranges(self)


PRIMES = (1, 2654435761, 805459861)
"""Of the hash."""


class MotionField(torch.nn.Module):
    """The field at fixed places.

    It begins as no motion at all: the network's last layer is zero. (As published a random network is trained
    to be that, for 10,000 steps.)

    Args:
        means: [N, 3] places, constants.
        seed: of what is random in the beginning.
    """

    inside: Tensor
    rows: Tensor
    weights: Tensor

    def __init__(self, means: Tensor, config: MotionFieldConfig | None = None, seed: int = 0) -> None:
        super().__init__()
        c = MotionFieldConfig() if config is None else config
        means = means.detach()
        random = torch.Generator().manual_seed(seed)
        low, high = _box(means, c.margin)
        self.size = float((high - low).max().clamp(min=1e-30))
        """Scene units: what an output of 1 shifts by."""
        places = (means - low) / (high - low).clamp(min=1e-30)
        inside = ((places >= 0) & (places <= 1)).all(dim=1)
        self.register_buffer("inside", inside)
        rows, weights = zip(*[_corners(places[inside], c, level) for level in range(c.levels)], strict=True)
        self.register_buffer("rows", torch.stack(rows, dim=1))  # [inside, levels, 8]
        self.register_buffer("weights", torch.stack(weights, dim=1))
        table = 2e-4 * torch.rand(c.levels * c.table, c.features, generator=random) - 1e-4
        self.table = torch.nn.Parameter(table.to(means.device))
        sizes = [c.levels * c.features, *[c.width] * c.depth, 7]
        layers: list[torch.nn.Module] = []
        for ins, outs in itertools.pairwise(sizes):
            layer = torch.nn.Linear(ins, outs)
            with torch.no_grad():
                layer.weight.copy_(torch.randn(outs, ins, generator=random) * (2 / ins) ** 0.5)
                layer.bias.zero_()
            layers += [layer, torch.nn.ReLU()]
        torch.nn.init.zeros_(layer.weight)
        self.network = torch.nn.Sequential(*layers[:-1]).to(means.device)

    def forward(self, means: Tensor, quats: Tensor) -> tuple[Tensor, Tensor]:
        """Means [N, 3] and rotations [N, 4] (of any length) after the motion, differentiable by the field."""
        found = self.table.index_select(0, self.rows.flatten()).unflatten(0, self.rows.shape)
        out = self.network((found * self.weights[..., None]).sum(dim=2).flatten(1))
        turn = out[:, 3:] + out.new_tensor([1.0, 0.0, 0.0, 0.0])
        turned = multiply(torch.nn.functional.normalize(turn, dim=-1), quats[self.inside])
        rows = self.inside.nonzero()[:, 0]
        moved = means.index_copy(0, rows, means[self.inside] + self.size * out[:, :3])
        return moved, quats.index_copy(0, rows, turned)


def _box(means: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """[3] and [3], by quantiles of the places along each axis."""
    ordered = means.sort(dim=0).values
    last = len(means) - 1
    return ordered[round(margin * last)], ordered[round((1 - margin) * last)]


def _corners(places: Tensor, c: MotionFieldConfig, level: int) -> tuple[Tensor, Tensor]:
    """Rows [N, 8] of the table that the corners of the cells around places in [0, 1] have at a level, and
    their weights [N, 8]."""
    cells = int(c.coarsest * c.growth**level)
    at = places.double() * cells
    base = at.floor().clamp(max=cells - 1)
    part = (at - base)[:, None]
    offsets = torch.tensor([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)], device=places.device)
    corners = base.long()[:, None] + offsets
    if (cells + 1) ** 3 <= c.table:
        x, y, z = corners.unbind(-1)
        rows = (x * (cells + 1) + y) * (cells + 1) + z
    else:
        x, y, z = (corners * torch.tensor(PRIMES, device=places.device)).unbind(-1)
        rows = (x ^ y ^ z) % c.table
    weights = torch.where(offsets.bool(), part, 1 - part).prod(dim=-1)
    return rows + level * c.table, weights.float()
