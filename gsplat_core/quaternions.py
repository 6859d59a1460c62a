"""Rotations as quaternions (w, x, y, z)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def rotation_matrices(quats: Tensor) -> Tensor:
    """[..., 3, 3] that quaternions [..., 4] of any length but zero stand for; differentiable."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def multiply(first: Tensor, second: Tensor) -> Tensor:
    """Hamilton product of quaternions [..., 4]: the rotation `second`, then `first`."""
    w1, x1, y1, z1 = first.unbind(-1)
    w2, x2, y2, z2 = second.unbind(-1)
    return torch.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        dim=-1,
    )


def rotation_matrix(quaternion: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """[3, 3] of a single quaternion outside of PyTorch."""
    return rotation_matrices(torch.as_tensor(quaternion, dtype=torch.float64)).numpy()
