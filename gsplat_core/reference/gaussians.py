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
    root = roots(quats, scales, None)
    return root @ root.mT


def roots(quats: Tensor | None, scales: Tensor | None, covars: Tensor | None) -> Tensor:
    """[..., N, 3, 3] in float64, of which the covariances are the products with their transposes: rotations
    with columns of the length of the scales, or, where only covariances are given, Cholesky's factors, in
    which a pivot that is lost in rounding is zero, and so is its column."""
    if covars is not None:
        return _cholesky(covariances(None, None, covars))
    assert quats is not None
    assert scales is not None
    rotation, scales, broken = _rotations(quats, scales)
    return torch.where(broken[..., None], torch.nan, rotation * scales[..., None, :])  # culled later


def _cholesky(matrices: Tensor) -> Tensor:
    columns: list[Tensor] = []
    for j in range(3):
        column = matrices[..., j] - sum(other * other[..., j, None] for other in columns)
        lost = (column[..., j] <= 1e-6 * matrices[..., j, j])[..., None]
        pivot = torch.where(lost, 1.0, column[..., j, None]).sqrt()
        below = torch.arange(3) >= j
        columns.append(torch.where(lost | ~below, 0.0, column / pivot))
    return torch.stack(columns, dim=-1)


LEAST_SCALE = 1e-9  # thinner Gaussians count as this thick where rays look at them


def frames(quats: Tensor | None, scales: Tensor | None, covars: Tensor | None) -> Tensor:
    """W [..., 3, 3] with W^T W = the inverse covariance: what turns and scales a Gaussian into the standard
    normal distribution."""
    if covars is not None:
        return torch.linalg.inv(torch.linalg.cholesky(covariances(None, None, covars)))
    assert quats is not None
    assert scales is not None
    rotation, scales, _ = _rotations(quats, scales)
    return rotation.mT / scales.clamp(min=LEAST_SCALE)[..., None]


def _rotations(quats: Tensor, scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation matrices, scales, and [..., 1] which of them are not to be used."""
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
    return rotation, scales, broken
