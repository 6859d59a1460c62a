"""Gaussians to start training from: one per sparse point, or random ones where there are none.

As in 3DGS (Kerbl et al. 2023): isotropic, as large as the gaps between the points, opacity 0.1, coloured as
the points, without view dependence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gsplat_core.ops.neighbors import knn
from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.harmonics import sh0_of
from gsplat_core.scene.optics import optics_of
from gsplat_core.scene.scale import SceneScale

# Below this distance, as a fraction of the scene's length, points count as coincident; keeps the logarithm
# finite.
SMALLEST_GAP = 1e-4
# Far points stand alone, with gaps to their neighbours that say nothing of what is between.
LARGEST_START = 0.1
_NEIGHBORS = 3


def initialize(
    points: Tensor,
    rgb: Tensor,
    sh_degree: int = 3,
    opacity: float = 0.1,
    scale_factor: float = 1.0,
    scale: SceneScale | None = None,
) -> Gaussians:
    """One Gaussian per point; its radius is the root mean square distance to the 3 nearest points.

    Args:
        points: [N, 3] positions in scene units, N >= 1, finite.
        rgb: [N, 3] colours in [0, 1].
        sh_degree: degree of the colour model; all but the constant term start at 0.
        opacity: of every Gaussian, in (0, 1).
        scale_factor: multiplies the radius.
        scale: of the scene. No Gaussian starts larger than a tenth of the distance at which it is seen, a
            lone one starts as large as that; None: of a scene of length 1 of which sizes are not bounded.

    Raises:
        ValueError: the shapes do not fit, or there is no point.
        RuntimeError: a coordinate is not finite.
    """
    if points.ndim != 2 or points.shape[1] != 3 or rgb.shape != points.shape or not len(points):
        raise ValueError(
            f"points and rgb must both be [N, 3], N >= 1, got {list(points.shape)} and {list(rgb.shape)}"
        )
    n = len(points)
    means = points.detach().to("cpu", torch.float32).contiguous()
    neighbors = min(_NEIGHBORS, n - 1)
    length = 1.0 if scale is None else scale.length
    squared_gap = knn(means, neighbors)[1].mean(dim=1) if neighbors else torch.full((n,), length**2)
    radius = squared_gap.sqrt().clamp_min(SMALLEST_GAP * length)
    if scale is not None:
        radius = torch.minimum(radius, LARGEST_START * scale.reach(means))
    radius *= scale_factor
    quats = torch.zeros(n, 4)
    quats[:, 0] = 1
    return Gaussians(
        means=means.clone(),
        quats=quats,
        scales=radius.log()[:, None].repeat(1, 3),
        opacities=torch.full((n,), math.log(opacity / (1 - opacity))),
        sh0=sh0_of(rgb.detach().to("cpu", torch.float32))[:, None, :].contiguous(),
        shN=torch.zeros(n, (sh_degree + 1) ** 2 - 1, 3),
    )


def random_points(
    cameras: Sequence[Camera], length: float, count: int = 100_000, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Points where the cameras look, for captures without sparse points.

    In the cube of 3DGS, half its side 3 x the scene's length, but around the mean camera position rather
    than the
    origin, and only where a camera sees them, since the others could never be trained: each point is on the
    ray of a random pixel, at a distance that fills the ray's cone evenly up to the cube's wall.

    Args:
        cameras: at least one.
        length: the dataset's `scale.length`.
        count: how many points.
        seed: of the random numbers.

    Returns:
        positions [count, 3] and random colours [count, 3] in [0, 1], for ``initialize``.
    """
    random = np.random.default_rng(seed)
    centers = np.stack([camera.center for camera in cameras])
    sizes = np.array([(camera.width, camera.height) for camera in cameras])

    which = random.integers(len(cameras), size=count)
    pixel = random.random((count, 2)) * sizes[which]
    direction = np.zeros((count, 3))
    for index, camera in enumerate(cameras):
        rows = which == index
        rays = optics_of(camera).rays(pixel[rows])
        rays = np.where(np.isfinite(rays), rays, (0.0, 0.0, 1.0))  # dark corners of a fisheye lens
        direction[rows] = rays @ camera.viewmat[:3, :3]
    start = centers[which] - centers.mean(axis=0)
    with np.errstate(divide="ignore"):
        to_wall = (3 * length * np.sign(direction) - start) / direction
    to_wall = np.nanmin(np.where(direction == 0, np.inf, to_wall), axis=1).clip(min=0)
    points = centers[which] + direction * (to_wall * np.cbrt(random.random(count)))[:, None]
    colors = random.random((count, 3))
    return torch.from_numpy(points.astype(np.float32)), torch.from_numpy(colors.astype(np.float32))
