"""How many bits numbers of a scene will take, for its training: a Laplace distribution around what neighbours
predict.

The coder predicts a number from earlier rows that are near in space, or not at all, column by column
(`ops/context_coder.py`); so does this, with the rows as they were when it was fitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core.morton import morton_codes
from gsplat_core.ops.context_coder import earlier_neighbors

# Fewer bits than this are not expected of a number on average, however small its neighbours' are.
_SMALLEST_SPREAD = 0.15


class ExpectedBits:
    """
    Args:
        near: by field, [N, C] what is predicted of each number.
        spread: by field, [C] how far numbers are from that in the mean.
    """

    def __init__(self, near: Mapping[str, Tensor], spread: Mapping[str, Tensor]) -> None:
        self._near, self._spread = dict(near), dict(spread)

    @classmethod
    @torch.no_grad()
    def fit(cls, cells: Tensor, numbers: Mapping[str, Tensor]) -> ExpectedBits:
        """
        Args:
            cells: [N, 3] int64, of the rows' places on a lattice.
            numbers: by field, [N, C] what is coded, before it is rounded.
        """
        order = morton_codes(cells).sort(stable=True).indices
        neighbors = earlier_neighbors(cells[order].int())
        missing = neighbors < 0
        first = order[neighbors.clamp(min=0).long()]  # rows of the scene, in coding order
        first[missing] = order[:, None].expand_as(missing)[missing]
        near_all, spread_all = {}, {}
        for name, values in numbers.items():
            rounded = values.round()
            # As the coder does, column by column: from the neighbours, or from the middle of all.
            near = (2 * rounded[first[:, 0]] + rounded[first[:, 1:]].sum(dim=1)) / 4
            middle = rounded.median(dim=0).values.expand_as(near)
            ordered = rounded[order]
            choose = (ordered - near).abs().mean(dim=0) < (ordered - middle).abs().mean(dim=0)
            near = torch.where(choose, near, middle)
            near_all[name] = torch.empty_like(near).index_copy_(0, order, near)
            spread_all[name] = (ordered - near).abs().mean(dim=0).clamp(min=_SMALLEST_SPREAD)
        return cls(near_all, spread_all)

    def __call__(self, numbers: Mapping[str, Tensor]) -> Tensor:
        """A scalar: bits of all these numbers, up to a constant. Differentiable."""
        some = next(iter(numbers.values()))
        bits = some.new_zeros(())
        for name, values in numbers.items():
            bits = bits + ((values - self._near[name]).abs() / self._spread[name]).sum()
        return bits / math.log(2)

    def state_dict(self) -> dict[str, Tensor]:
        """What was fitted, as a flat dictionary."""
        near = {f"near.{name}": value for name, value in self._near.items()}
        return near | {f"spread.{name}": value for name, value in self._spread.items()}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> ExpectedBits:
        """What `state_dict` described; other entries are ignored."""

        def of(kind: str) -> dict[str, Tensor]:
            return {name.removeprefix(kind): v for name, v in state.items() if name.startswith(kind)}

        return cls(of("near."), of("spread."))
