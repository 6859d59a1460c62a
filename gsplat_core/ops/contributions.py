"""``torch.ops.gsplat_core.contributions``: fake kernel (kernel: ``csrc/ops/contributions.cpp``).

A measure of what is drawn; it has no derivative.
"""

from __future__ import annotations

from torch import Tensor

from gsplat_core.ops.arguments import fake_kernel


@fake_kernel("contributions")
def _(means2d: Tensor) -> Tensor:
    return means2d.new_empty(*means2d.shape[:2], 3)
