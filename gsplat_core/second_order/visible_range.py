"""What photographs can tell apart, which bounds where steps may lead.

A limit for each step does not bound their sum. A Gaussian far larger than its distance from the cameras
colours all of an image evenly, one far smaller than any pixel is a point, one below 1/255 of opacity is not
drawn: beyond that the images hardly change any more, and curvature that was made elsewhere says nothing. What
walked on there would walk on for ever, until its numbers end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.second_order.vectors import Vector

# Standard deviations as shares of the distance from the cameras.
LARGEST = 10.0
SMALLEST = 1e-6
# Of the opacity's logit: 1/255 is at -5.5, and no splat covers more than 0.99, which is at 4.6.
LEAST_LOGIT, MOST_LOGIT = -8.0, 8.0


@dataclass(frozen=True)
class VisibleRange:
    """Args:
    center: [3] the middle of the cameras.
    radius: how far from it they are, at most.
    """

    center: tuple[float, float, float]
    radius: float

    @staticmethod
    def of(viewmats: Iterable[Tensor]) -> VisibleRange:
        """That of cameras with these world-to-camera matrices, [1, 4, 4] each."""
        centers = torch.stack([-(m[0, :3, :3].T @ m[0, :3, 3]).double().cpu() for m in viewmats])
        middle = centers.mean(dim=0)
        x, y, z = middle.tolist()
        return VisibleRange((x, y, z), float((centers - middle).norm(dim=1).max()))

    def limit_(self, gaussians: Gaussians, step: Vector) -> None:
        """Shortens steps of scales and opacities, in place, so that they end inside the range, or where they
        began if that is outside."""
        center = torch.tensor(self.center, dtype=torch.float32, device=gaussians.device)
        distances = (gaussians.means + step["means"] - center).norm(dim=1, keepdim=True) + self.radius
        logarithms = distances.clamp(min=1e-30).log()
        bounds = {
            "scales": (logarithms + math.log(SMALLEST), logarithms + math.log(LARGEST)),
            "opacities": (
                gaussians.opacities.new_tensor(LEAST_LOGIT), gaussians.opacities.new_tensor(MOST_LOGIT)
            ),
        }  # fmt: skip
        for name, (least, most) in bounds.items():
            before = gaussians.params[name]
            after = torch.maximum(before + step[name], torch.minimum(least, before))
            after = torch.minimum(after, torch.maximum(most, before))
            torch.where(after == before + step[name], step[name], after - before, out=step[name])
