"""``torch.ops.gsplat_core.sightings`` and ``label_weights``: fake kernels
(kernels: ``csrc/ops/sightings.cpp``).

Measures of what is drawn; they have no derivatives.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gsplat_core.ops.arguments import fake_kernel


@fake_kernel("sightings")
def _(
    means2d: Tensor,
    width: int,
    height: int,
    first: bool,
    median: bool,
    strongest: bool,
    counts: bool,
    top: int,
) -> tuple[Tensor, ...]:
    shape = (means2d.shape[0], height, width)
    return (
        *(
            means2d.new_empty(shape if wanted else 0, dtype=torch.int32)
            for wanted in (first, median, strongest, counts)
        ),
        means2d.new_empty(*shape, top, dtype=torch.int32),
        means2d.new_empty(*shape, top),
    )


@fake_kernel("label_weights")
def _(means2d: Tensor, count: int) -> Tensor:
    return means2d.new_empty(*means2d.shape[:2], count)
