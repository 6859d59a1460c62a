"""``torch.ops.gsplat_core.response_levels``: fake kernel (kernels: ``csrc/*/response/levels.*``).

A bound, which has no derivative.
"""

from __future__ import annotations

from torch import Tensor

from gsplat_core.ops.arguments import fake_kernel


@fake_kernel("response_levels")
def _(opacities: Tensor) -> Tensor:
    return opacities.new_empty(opacities.shape)
