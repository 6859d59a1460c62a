"""``gsplat.relocation``"""

from __future__ import annotations

from torch import Tensor

from gsplat_core.arguments import check_shape
from gsplat_core.ops.mcmc import relocate


def compute_relocation(
    opacities: Tensor, scales: Tensor, ratios: Tensor, binoms: Tensor
) -> tuple[Tensor, Tensor]:
    """Opacity and size of each of several coincident Gaussians that stand for one (Kheradmand et al. 2024,
    equation 9).

    Args:
        opacities, scales: [N] in [0, 1] and [N, 3] standard deviations of the one.
        ratios: [N] how many there are; cut to 1 and to the size of `binoms`.
        binoms: [n_max, n_max]; only its size counts, since the coefficients are known.

    Returns:
        opacities [N] and scales [N, 3]. Not differentiable.

    Raises:
        ValueError: an argument has another shape.
    """
    num = len(opacities)
    check_shape("scales", scales, (num, 3), opacities.device)
    check_shape("ratios", ratios, (num,), opacities.device)
    most = min(binoms.shape[0], 64)
    return relocate(opacities.detach(), scales.detach(), ratios.clamp(1, most).int())


__all__ = ["compute_relocation"]
