"""Radiative fields and detectors for tests."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

WIDTH, HEIGHT = 41, 35
NAMES = ("means", "quats", "scales", "densities")
CAMERA_NAMES = ("viewmats", "Ks")


def field(num: int = 60, seed: int = 0) -> list[Tensor]:
    """Means, quats, scales and densities of Gaussians in a box of the size 2."""
    g = torch.Generator().manual_seed(seed)
    means, quats = 0.3 * torch.randn(num, 3, generator=g), torch.randn(num, 4, generator=g)
    return [means, quats, 0.03 + 0.1 * torch.rand(num, 3, generator=g), torch.rand(num, generator=g)]


def detectors(beam: str) -> list[Tensor]:
    """View matrices and intrinsics of two that see the field from different sides."""
    g = torch.Generator().manual_seed(7)
    viewmats = torch.eye(4).repeat(2, 1, 1)
    viewmats[:, 2, 3] = 4.0
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=g))
    viewmats[1, :3, :3] = turn * torch.linalg.det(turn)
    focal = 60.0 if beam == "cone" else 15.0
    Ks = torch.tensor([[focal, 0, 21.3], [0, 0.8 * focal, 16.9], [0, 0, 1]]).repeat(2, 1, 1)
    return [viewmats, Ks]


def leaves(tensors: Iterable[Tensor], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [tensor.detach().to(dtype, copy=True).requires_grad_() for tensor in tensors]


def weights(like: Tensor) -> Tensor:
    """Of a loss of images or volumes."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(1)).to(like)


def assert_alike(name: str, actual: Tensor, expected: Tensor, share: float = 1e-5) -> None:
    """Within a share of the largest number."""
    difference = float((actual.detach().double() - expected.detach().double()).abs().max())
    assert difference <= share * float(expected.detach().abs().max()), name
