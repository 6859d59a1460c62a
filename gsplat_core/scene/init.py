"""Gaussians to start training from: one per sparse point, or random ones where there are none.

As in 3DGS (Kerbl et al. 2023): isotropic, as large as the gaps between the points, opacity 0.1, coloured as the
points, without view dependence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gsplat_core.ops.knn import knn
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians

SH_C0 = 0.28209479177387814  # the constant spherical harmonic, 1 / (2 sqrt(pi))

# Below this mean squared distance points count as coincident; keeps the logarithm finite.
SMALLEST_SQUARED_GAP = 1e-7
_NEIGHBORS = 3


def initialize(
    points: Tensor,
    rgb: Tensor,
    sh_degree: int = 3,
    opacity: float = 0.1,
    scale_factor: float = 1.0,
    lone_scale: float = 1.0,
) -> Gaussians:
    """One Gaussian per point; its radius is the root mean square distance to the 3 nearest points.

    Args:
        points: [N, 3] positions in scene units, N >= 1, finite.
        rgb: [N, 3] colours in [0, 1].
        sh_degree: degree of the colour model; all but the constant term start at 0.
        opacity: of every Gaussian, in (0, 1).
        scale_factor: multiplies the radius.
        lone_scale: the radius, in scene units, when there is only one point.

    Raises:
        ValueError: the shapes do not fit, or there is no point.
        RuntimeError: a coordinate is not finite.
    """
    if points.ndim != 2 or points.shape[1] != 3 or rgb.shape != points.shape or not len(points):
        raise ValueError(
            f"points and rgb must both have shape [N, 3] with N >= 1, got {list(points.shape)} and {list(rgb.shape)}"
        )
    n = len(points)
    means = points.detach().to("cpu", torch.float32).contiguous()
    neighbors = min(_NEIGHBORS, n - 1)
    squared_gap = knn(means, neighbors)[1].mean(dim=1) if neighbors else torch.full((n,), lone_scale**2)
    radius = squared_gap.clamp_min(SMALLEST_SQUARED_GAP).sqrt() * scale_factor
    quats = torch.zeros(n, 4)
    quats[:, 0] = 1
    return Gaussians(
        means=means.clone(),
        quats=quats,
        scales=radius.log()[:, None].repeat(1, 3),
        opacities=torch.full((n,), math.log(opacity / (1 - opacity))),
        sh0=((rgb.detach().to("cpu", torch.float32) - 0.5) / SH_C0)[:, None, :].contiguous(),
        shN=torch.zeros(n, (sh_degree + 1) ** 2 - 1, 3),
    )


def random_points(
    cameras: Sequence[Camera], extent: float, count: int = 100_000, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Points where the cameras look, for captures without sparse points.

    Uniform in the cube around the mean camera position with half the side 3 x extent, the volume of 3DGS, but
    only where at least one camera sees them: the rest could never be trained.

    Args:
        cameras: at least one.
        extent: the dataset's scene_extent.
        count: how many points.
        seed: of the random numbers.

    Returns:
        positions [count, 3] and random colours [count, 3] in [0, 1], for ``initialize``.
    """
    generator = torch.Generator().manual_seed(seed)
    center = torch.stack([torch.from_numpy(camera.center) for camera in cameras]).mean(dim=0)

    def draw() -> Tensor:
        unit = torch.rand(count, 3, generator=generator, dtype=torch.float64)
        return center + 3 * extent * (2 * unit - 1)

    points = torch.zeros(0, 3, dtype=torch.float64)
    # Narrow views of a large cube may reject nearly everything: take what 20 rounds give, then fill up unseen.
    for _ in range(20):
        candidates = draw()
        points = torch.cat([points, candidates[_seen(candidates, cameras)]])[:count]
        if len(points) == count:
            break
    points = torch.cat([points, draw()])[:count]
    return points.float(), torch.rand(count, 3, generator=generator)


def _seen(points: Tensor, cameras: Sequence[Camera]) -> Tensor:
    """[N] whether some camera has the point inside its image."""
    seen = torch.zeros(len(points), dtype=torch.bool)
    for camera in cameras:
        viewmat, K = torch.from_numpy(camera.viewmat), torch.from_numpy(camera.K)
        x, y, z = (points @ viewmat[:3, :3].T + viewmat[:3, 3]).unbind(dim=1)
        u, v = K[0, 0] * x + K[0, 2] * z, K[1, 1] * y + K[1, 2] * z
        seen |= (z > 0) & (u >= 0) & (u < camera.width * z) & (v >= 0) & (v < camera.height * z)
    return seen
