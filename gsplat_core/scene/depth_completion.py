"""A number for every pixel from those of a few: smooth where the photograph is, free to jump where it does.

The numbers d are those with the least sum of c (d - v)^2 over pixels of which something is known and of w
(d - d')^2 over neighbours, where w falls with the difference of their colours (Levin, Lischinski and Weiss
2004 spread colours so). It is one sparse linear system, solved by conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Neighbours whose colours differ by this much pull e times less at each other. Never by less than the
# least, so that nothing is cut off from what is known.
_SAME_COLOR = 0.06
_LEAST_PULL = 1e-3
_SMOOTHNESS = 0.1
# What differs by much more than this share from what is around it is trusted less, each time it is solved
# anew.
_WRONG = 0.05
_TRUSTS = 4
_ROUNDS = 400
_ENOUGH = 1e-4


def completed(values: Tensor, trust: Tensor, photograph: Tensor) -> Tensor:
    """[H, W] float32, a number for every pixel.

    Args:
        values: [H, W] what is known, best of one order of magnitude, as inverse depths are; NaN elsewhere.
        trust: [H, W] at least 0, how far; 1 is for what is nearly sure.
        photograph: [H, W, 3] in [0, 1].

    Raises:
        ValueError: nothing is known.
    """
    known = values.isfinite() & (trust > 0)
    if not bool(known.any()):
        raise ValueError("there is no pixel of which something is known")
    across, down = _alike(photograph, 1), _alike(photograph, 0)
    own = trust.where(known, 0.0)
    pulls, found = own, values
    for _ in range(_TRUSTS):
        found = _smooth(values.where(known, 0.0), pulls, across, down)
        wrong = (values / found - 1).where(known, 0.0) / _WRONG
        pulls = own / (1 + wrong.square()).square()
    return found


def _smooth(values: Tensor, pulls: Tensor, across: Tensor, down: Tensor) -> Tensor:
    middle = (values * pulls).sum() / pulls.sum()

    def applied(d: Tensor) -> Tensor:
        x, y = across * d.diff(dim=1), down * d.diff(dim=0)
        result = pulls * d
        result[:, :-1] -= x
        result[:, 1:] += x
        result[:-1] -= y
        result[1:] += y
        return result

    diagonal = pulls.clone()
    diagonal[:, :-1] += across
    diagonal[:, 1:] += across
    diagonal[:-1] += down
    diagonal[1:] += down
    diagonal.clamp_(min=1e-12)  # a photograph of one pixel
    return _solved(applied, (values - middle) * pulls, diagonal) + middle


def _alike(photograph: Tensor, dim: int) -> Tensor:
    """How much neighbours along a dimension pull at each other."""
    differ = photograph.diff(dim=dim).abs().amax(dim=-1)
    return _SMOOTHNESS * (-differ / _SAME_COLOR).exp().clamp(min=_LEAST_PULL)


def _solved(applied: Callable[[Tensor], Tensor], right: Tensor, diagonal: Tensor) -> Tensor:
    """Conjugate gradients, preconditioned by the diagonal."""
    d = torch.zeros_like(right)
    left = right.clone()
    step = left / diagonal
    fall = (left * step).sum()
    enough = _ENOUGH**2 * fall
    for _ in range(_ROUNDS):
        if fall <= enough:
            break
        moved = applied(step)
        length = fall / (step * moved).sum()
        d += length * step
        left -= length * moved
        scaled = left / diagonal
        before, fall = fall, (left * scaled).sum()
        step = scaled + (fall / before) * step
    return d
