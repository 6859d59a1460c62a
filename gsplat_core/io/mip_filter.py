"""The 3D filter of Mip-Splatting (Yu et al. 2024), which its PLY files keep apart from the scales.

Each Gaussian is smoothed with an isotropic one of standard deviation f, the column `filter_3D`: it becomes
larger, sqrt(s^2 + f^2) along each axis, and fainter by sqrt(prod s^2 / prod (s^2 + f^2)), which keeps its
integral.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from gsplat_core.scene.gaussians import Gaussians

COLUMN = "filter_3D"


def applied(gaussians: Gaussians, deviations: Tensor) -> Gaussians:
    """The scene with the filter in its scales and opacities.

    Args:
        deviations: [N], f of every Gaussian, in scene units.
    """
    scales = gaussians.scales.double()
    smoothing = 2 * deviations.double().abs().log()[:, None]
    filtered = torch.logaddexp(2 * scales, smoothing) / 2
    # In logarithms: opacities near 0 and 1 keep their digits.
    opacity = torch.nn.functional.logsigmoid(gaussians.opacities.double())
    opacity = opacity + torch.where(deviations == 0, 0.0, (scales - filtered).sum(dim=1))
    logits = opacity - torch.log(-torch.expm1(opacity))
    logits = torch.where(deviations == 0, gaussians.opacities.double(), logits)
    return dataclasses.replace(
        gaussians,
        scales=torch.where((deviations == 0)[:, None], gaussians.scales, filtered.to(gaussians.scales.dtype)),
        opacities=logits.to(gaussians.opacities.dtype),
    )
