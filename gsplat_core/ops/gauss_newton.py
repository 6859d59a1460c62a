"""Fake kernels of ``composite_moments``, ``gauss_newton_blocks``, ``factor_blocks`` and ``solve_blocks``.

The kernels are those of ``csrc/ops/gauss_newton.cpp``. None of them has a derivative.
"""

from __future__ import annotations

from torch import Tensor

from gsplat_core.ops.arguments import fake_kernel

GEOMETRY = 11
"""Numbers of a Gaussian's geometry: mean 3, quaternion 4, scales 3, opacity."""
PAIRS = GEOMETRY * (GEOMETRY + 1) // 2
"""Entries of the upper triangle of its block, row by row."""
MOMENTS = 36
"""Sums over pixels per splat, see ``csrc/raster/gauss_newton.h``."""


@fake_kernel("composite_moments")
def _(means2d: Tensor) -> Tensor:
    return means2d.new_empty(*means2d.shape[:2], MOMENTS)


@fake_kernel("gauss_newton_blocks")
def _(means: Tensor, sh0: Tensor, shN: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    return (
        means.new_empty(*means.shape[:2], PAIRS),
        means.new_empty(sh0.shape),
        means.new_empty(shN.shape if shN is not None else 0),
    )


@fake_kernel("factor_blocks")
def _(blocks: Tensor) -> Tensor:
    return blocks.new_empty(blocks.shape)


@fake_kernel("solve_blocks")
def _(right: Tensor) -> Tensor:
    return right.new_empty(right.shape)
