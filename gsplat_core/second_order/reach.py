"""How far one step may take each Gaussian: a trust region per attribute.

The quadratic model of the images breaks down first where a Gaussian moves by its own size, or where its
scales or opacity change by a factor. In units of that (3DGS2-TR, Hsiao et al. 2026, limits the change of each
Gaussian as a distribution in the same spirit) the limit is the same for all Gaussians, whatever their size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from gsplat_core.ranges import POSITIVE, check_ranges
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.vectors import Vector


@dataclass(frozen=True)
class Reach:
    """The longest step of each attribute, per Gaussian.

    Args:
        means: in standard deviations along the Gaussian's axes.
        quats: of the unit quaternion.
        scales: of the logarithms.
        opacities: of the logit.
        colors: of the coefficients of degree 0, and of each higher one.
    """

    means: Annotated[float, POSITIVE] = 1.0
    quats: Annotated[float, POSITIVE] = 0.3
    scales: Annotated[float, POSITIVE] = 0.5
    opacities: Annotated[float, POSITIVE] = 1.5
    colors: Annotated[float, POSITIVE] = 0.5

    def __post_init__(self) -> None:
        check_ranges(self)

    def limit_(self, gaussians: Gaussians, step: Vector) -> None:
        """Shortens every attribute of every Gaussian in the step to what is allowed, in place."""
        sizes = {
            "means": _in_deviations(gaussians, step["means"]) / self.means,
            "quats": step["quats"].norm(dim=1) / gaussians.quats.norm(dim=1).clamp(min=1e-12) / self.quats,
            "scales": step["scales"].norm(dim=1) / self.scales,
            "opacities": step["opacities"].abs() / self.opacities,
            "sh0": step["sh0"].flatten(1).norm(dim=1) / self.colors,
        }
        for name, size in sizes.items():
            factor = 1 / size.clamp(min=1)
            step[name].mul_(factor.view(-1, *[1] * (step[name].ndim - 1)))
        step["shN"].clamp_(-self.colors, self.colors)


def _in_deviations(gaussians: Gaussians, shift: Tensor) -> Tensor:
    """[N]: the length of `shift` [N, 3] in units of the Gaussians' standard deviations."""
    w, x, y, z = torch.nn.functional.normalize(gaussians.quats, dim=1).unbind(dim=1)
    vector = torch.stack([x, y, z], dim=1)
    # q* v q: the shift along the Gaussian's own axes.
    twice = 2 * torch.linalg.cross(-vector, shift)
    along = shift + w[:, None] * twice + torch.linalg.cross(-vector, twice)
    return (along * (-gaussians.scales).exp()).norm(dim=1)
