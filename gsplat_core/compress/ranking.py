"""The largest of some scores, and the others."""

from __future__ import annotations

import torch
from torch import Tensor


def most_important(scores: Tensor, count: int) -> Tensor:
    """The rows of the `count` largest scores, in ascending order; of equal scores the first."""
    ranked = scores.sort(descending=True, stable=True).indices[:count]
    return ranked.sort().values


def least_important(scores: Tensor, count: int) -> Tensor:
    """The rows of all but the `count` largest scores, in ascending order."""
    return others(most_important(scores, count), len(scores))


def others(rows: Tensor, num: int) -> Tensor:
    """All of `num` rows but these, in ascending order."""
    rest = torch.ones(num, dtype=torch.bool, device=rows.device)
    rest[rows] = False
    return rest.nonzero().squeeze(1)
