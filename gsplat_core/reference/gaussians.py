"""Gaussians in the world: their covariances."""

from __future__ import annotations

import torch
from torch import Tensor


def covariances(quats: Tensor | None, scales: Tensor | None, covars: Tensor | None) -> Tensor:
    """[..., N, 3, 3] in float64; symmetric, from (xx, xy, xz, yy, yz, zz) where only those are given. Kerbl
    et al. (2023), equation 6."""
    if covars is not None:
        if covars.shape[-1] == 6:
            covars = covars[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].unflatten(-1, (3, 3))
        return (covars.double() + covars.double().mT) / 2
    assert quats is not None
    assert scales is not None
    quats, scales = quats.double(), scales.double()
    broken = ~(quats.isfinite().all(-1) & scales.isfinite().all(-1) & (quats.norm(dim=-1) > 0))[..., None]
    quats, scales = torch.where(broken, 1.0, quats), torch.where(broken, 1.0, scales)
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    rotation = torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        dim=-1,
    ).unflatten(-1, (3, 3))  # fmt: skip
    root = rotation * scales[..., None, :]
    return torch.where(broken[..., None], torch.nan, root @ root.mT)  # culled later
