"""Which Gaussians of a frame move: a gate for each, between shut, 0, and open, 1 (QUEEN, Girish et al. 2024).

A gate is hard concrete (Louizos et al. 2018),

    z = clamp(sigmoid((logit(u) + a) / T) (HIGH - LOW) + LOW, 0, 1),

with a trained logit a and u uniform, or 1/2 where nothing shall be random. It is exactly 0 or 1 for many a,
and how probable it is not to be 0 has a gradient everywhere: that is what a frame pays for what it moves.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TEMPERATURE = 0.3
LOW, HIGH = -0.5, 1.01
WIDE_OPEN = math.log(1000)
"""The largest logit; the smallest is its negative."""
_SHIFT = TEMPERATURE * math.log(-LOW / HIGH)
_LEAST = 1e-6


def gates(logits: Tensor, draws: Tensor | None = None) -> Tensor:
    """[N] how far gates are open.

    Args:
        logits: [N]; beyond `WIDE_OPEN` they count as that.
        draws: [N] u in (0, 1); None: 1/2 for all.
    """
    logits = logits.clamp(-WIDE_OPEN, WIDE_OPEN)
    noisy = logits if draws is None else logits + draws.logit(eps=_LEAST)
    return (torch.sigmoid(noisy / TEMPERATURE) * (HIGH - LOW) + LOW).clamp(0, 1)


def probabilities(logits: Tensor) -> Tensor:
    """[N] P(z > 0) over u."""
    return torch.sigmoid(logits.clamp(-WIDE_OPEN, WIDE_OPEN) - _SHIFT)


def logits_of(pulls: Tensor) -> Tensor:
    """[N] the logits that gates start with: they are not shut with the probability g / (g + median of g).

    Args:
        pulls: [N] g, how much what changed in the photographs pulls at each Gaussian (`sequence/change.py`).
    """
    typical = pulls.median() if len(pulls) else pulls.new_zeros(())
    probable = (pulls / (pulls + typical).clamp(min=torch.finfo(pulls.dtype).tiny)).clamp(_LEAST, 1 - _LEAST)
    return (probable.logit() + _SHIFT).clamp(-WIDE_OPEN, WIDE_OPEN)
