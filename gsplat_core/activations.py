"""From raw parameters to what is rendered, with the same bits for any number of threads."""

from __future__ import annotations

from torch import Tensor


def sigmoid(logits: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), differentiable.

    `torch.sigmoid` on a CPU rounds the last few numbers of each thread's share differently from the others,
    so its result depends on how many threads there are; `exp` and the division do not. Below -80 the result
    stays that of -80 (2e-35), since exp would overflow.
    """
    return 1 / (1 + (-logits.clamp(min=-80)).exp())
