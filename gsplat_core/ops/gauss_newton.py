"""Fake kernels of ``composite_moments``, ``gauss_newton_blocks``, ``factor_blocks`` and ``solve_blocks``.

The kernels are those of ``csrc/ops/gauss_newton.cpp``. None of them has a derivative.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gsplat_core.ops import library as library

GEOMETRY = 11
"""Numbers of a Gaussian's geometry: mean 3, quaternion 4, scales 3, opacity."""
PAIRS = GEOMETRY * (GEOMETRY + 1) // 2
"""Entries of the upper triangle of its block, row by row."""
MOMENTS = 36
"""Sums over pixels per splat, see ``csrc/raster/gauss_newton.h``."""


@torch.library.register_fake("gsplat_core::composite_moments")
def _(means2d: Tensor, *others: Any) -> Tensor:
    return means2d.new_empty(*means2d.shape[:2], MOMENTS)


@torch.library.register_fake("gsplat_core::gauss_newton_blocks")
def _(means: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    sh0, shN = others[13:15]
    return (
        means.new_empty(*means.shape[:2], PAIRS),
        means.new_empty(sh0.shape),
        means.new_empty(shN.shape if shN is not None else 0),
    )


@torch.library.register_fake("gsplat_core::factor_blocks")
def _(blocks: Tensor, added: Tensor) -> Tensor:
    return blocks.new_empty(blocks.shape)


@torch.library.register_fake("gsplat_core::solve_blocks")
def _(factors: Tensor, right: Tensor) -> Tensor:
    return right.new_empty(right.shape)
