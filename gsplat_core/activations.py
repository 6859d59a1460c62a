"""From raw parameters to what is rendered, with the same bits for any number of threads."""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops import activations as _operator


def activate(log_scales: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviations exp(x) and opacities 1 / (1 + exp(-x)), differentiable.

    One pass over memory in each direction; plain PyTorch for other types than float32.

    Args:
        log_scales: [N, 3] natural logarithms.
        logits: [N].
    """
    if log_scales.dtype == torch.float32:
        scales, opacities = _operator.activate(log_scales, logits)
        return scales, opacities
    return log_scales.exp(), sigmoid(logits)


def sigmoid(logits: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), differentiable.

    `torch.sigmoid` on a CPU rounds the last few numbers of each thread's share differently from the others,
    so its result depends on how many threads there are; `exp` and the division do not. Below -80 the result
    stays that of -80 (2e-35), since exp would overflow.
    """
    return 1 / (1 + (-logits.clamp(min=-80)).exp())
