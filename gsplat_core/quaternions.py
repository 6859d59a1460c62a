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


def quaternions_of(rotations: Tensor) -> Tensor:
    """[..., 4] unit quaternions of rotation matrices [..., 3, 3], with a largest number that is positive."""
    m = rotations
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # Row i is the quaternion times four of its number i: that of the largest number is the one to divide.
    w_x, w_y, w_z = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    x_y, x_z, y_z = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    rows = [
        [1 + xx + yy + zz, w_x, w_y, w_z],
        [w_x, 1 + xx - yy - zz, x_y, x_z],
        [w_y, x_y, 1 - xx + yy - zz, y_z],
        [w_z, x_z, y_z, 1 - xx - yy + zz],
    ]
    products = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
    largest = products.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    chosen = products.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4))[..., 0, :]
    return torch.nn.functional.normalize(chosen, dim=-1)


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
