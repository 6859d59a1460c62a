"""The parametrisation of GaMeS (Waczyńska et al. 2024): Gaussians that their faces shape.

A Gaussian has the barycentric coordinates of its centre and a factor. Its axes and its scales are those of
the face: with m the face's centroid, r1 points from m to the second corner v1, r2 is what of v2 - m is across
it,

    s1 = rho |v1 - m| / 2,        s2 = rho (v2 - m) . r2 / 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core.mesh.faces.frames import frames
from gsplat_core.mesh.faces.model import Placed
from gsplat_core.quaternions import quaternions_of

_LEAST = 1e-8
"""Of barycentric coordinates before they are made to add up to 1, and of the factor."""


class GamesFaces:
    per_face = 2
    thickness = 1e-8
    moves_vertices = False
    rates: Mapping[str, float] = {"alphas": 1e-3, "rhos": 5e-3}

    def check(self, per_face: int) -> None:
        if per_face < 1:
            raise ValueError(f"a face cannot have {per_face} Gaussians")

    def tensors(self, num: int, per_face: int, seed: int) -> dict[str, Tensor]:
        """alphas: [N, 3], of which negative ones count as 0; rhos: [N]."""
        random = torch.Generator().manual_seed(seed)
        return {"alphas": torch.rand(num, 3, generator=random), "rhos": torch.ones(num)}

    def weights(self, tensors: Mapping[str, Tensor], per_face: int) -> Tensor:
        positive = tensors["alphas"].relu() + _LEAST
        return positive / positive.sum(dim=1, keepdim=True)

    def radii(self, corners: Tensor, per_face: int) -> Tensor:
        return self._shape(corners)[1]

    def placed(self, corners: Tensor, tensors: Mapping[str, Tensor], scales: Tensor, per_face: int) -> Placed:
        weights = self.weights(tensors, per_face).reshape(-1, per_face, 3)
        means = (weights @ corners).reshape(-1, 3)
        axes, radii = self._shape(corners)
        quats = quaternions_of(axes).repeat_interleave(per_face, dim=0)
        logs = radii.log().repeat_interleave(per_face, dim=0)
        grown = logs + tensors["rhos"].clamp(min=_LEAST).log()[:, None]
        return Placed(means, quats, torch.cat([grown, scales[:, 2:].detach()], dim=1))

    @staticmethod
    def _shape(corners: Tensor) -> tuple[Tensor, Tensor]:
        """Axes [F, 3, 3], and the scales along the first two [F, 2]."""
        arms = corners - corners.mean(dim=1, keepdim=True)
        axes = frames(arms[:, 1], corners)
        lengths = torch.stack([arms[:, 1].norm(dim=1), (arms[:, 2] * axes[:, :, 1]).sum(dim=1)], dim=1)
        return axes, lengths / 2
