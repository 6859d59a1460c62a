"""``gsplat.utils``"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from gsplat_core.compat.gsplat_package.exporter import export_splats
from gsplat_core.quaternions import rotation_matrices
from gsplat_core.scene.harmonics import sh0_of


def get_projection_matrix(
    znear: float, zfar: float, fovX: float, fovY: float, device: str | torch.device = "cpu"
) -> Tensor:
    """The matrix [4, 4] from a camera's axes (column vectors) to clip space, with depths from 0 to 1.

    Args:
        znear, zfar: where depth is 0 and 1.
        fovX, fovY: fields of view in radians.
    """
    depth = zfar / (zfar - znear)
    rows = [
        [1 / math.tan(fovX / 2), 0.0, 0.0, 0.0],
        [0.0, 1 / math.tan(fovY / 2), 0.0, 0.0],
        [0.0, 0.0, depth, -depth * znear],
        [0.0, 0.0, 1.0, 0.0],
    ]
    return torch.tensor(rows, device=device)


def save_ply(splats: Mapping[str, Tensor], dir: str, colors: Tensor | None = None) -> None:
    """Writes a .ply file.

    Args:
        splats: see :func:`gsplat_core.compat.gsplat_package.exporter.export_splats`.
        dir: the file.
        colors: [N, 3] from 0 to 1, in the place of the spherical harmonics.

    Raises:
        gsplat_core.errors.GsplatError: the file cannot be written.
    """
    sh0, shN = splats["sh0"], splats["shN"]
    if colors is not None:
        sh0, shN = sh0_of(colors)[:, None], colors.new_zeros(len(colors), 0, 3)
    means, scales, quats, opacities = (splats[name] for name in ("means", "scales", "quats", "opacities"))
    export_splats(means, scales, quats, opacities, sh0, shN, save_to=dir)


def normalized_quat_to_rotmat(quat: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of unit quaternions [..., 4] (w, x, y, z)."""
    return rotation_matrices(quat)


def log_transform(x: Tensor) -> Tensor:
    """sign(x) ln(1 + |x|)"""
    return x.sign() * x.abs().log1p()


def inverse_log_transform(y: Tensor) -> Tensor:
    """The inverse of `log_transform`."""
    return y.sign() * y.abs().expm1()


def depth_to_points(depths: Tensor, camtoworlds: Tensor, Ks: Tensor, z_depth: bool = True) -> Tensor:
    """Where in the world the pixels of pinhole cameras are.

    Args:
        depths: [..., H, W, 1] along the viewing axis, or, without `z_depth`, along the rays.
        camtoworlds, Ks: [..., 4, 4] and [..., 3, 3].

    Returns:
        [..., H, W, 3].
    """
    height, width = depths.shape[-3:-1]
    x = torch.arange(width, device=depths.device, dtype=depths.dtype) + 0.5
    y = torch.arange(height, device=depths.device, dtype=depths.dtype)[:, None] + 0.5
    fx, fy, cx, cy = (Ks[..., i, j, None, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    slopes = torch.broadcast_tensors((x - cx) / fx, (y - cy) / fy, torch.ones_like(x))
    rays = torch.stack(slopes, dim=-1)
    if not z_depth:
        rays = torch.nn.functional.normalize(rays, dim=-1)
    rotation, origin = camtoworlds[..., None, None, :3, :3], camtoworlds[..., None, None, :3, 3]
    return origin + depths * (rotation @ rays[..., None])[..., 0]


def depth_to_normal(depths: Tensor, camtoworlds: Tensor, Ks: Tensor, z_depth: bool = True) -> Tensor:
    """Unit normals [..., H, W, 3] of the surface that depths [..., H, W, 1] show, from the neighbours of each
    pixel; zero at the border. The arguments are those of `depth_to_points`."""
    points = depth_to_points(depths, camtoworlds, Ks, z_depth)
    down = points[..., 2:, 1:-1, :] - points[..., :-2, 1:-1, :]
    right = points[..., 1:-1, 2:, :] - points[..., 1:-1, :-2, :]
    normals = torch.nn.functional.normalize(torch.linalg.cross(down, right), dim=-1)
    return torch.nn.functional.pad(normals, (0, 0, 1, 1, 1, 1))
