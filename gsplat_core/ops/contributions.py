"""``torch.ops.gsplat_core.contributions``: fake kernel (kernel: ``csrc/ops/contributions.cpp``).

A measure of what is drawn; it has no derivative.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import library as library


@torch.library.register_fake("gsplat_core::contributions")
def _(means2d: Tensor, *others: Any) -> Tensor:
    return means2d.new_empty(*means2d.shape[:2], 3)
