"""The pose of a camera from points whose places and directions are known, some of them wrongly (PnP)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from gsplat_core import se3
from gsplat_core.scene.cameras import Matrix, rigid

FEWEST = 4
"""Pairs of a direction and a point: three leave up to four poses, the fourth decides."""

_ROUNDS = 10  # of Gauss-Newton


class Pose(NamedTuple):
    """Attributes:
    viewmat: [4, 4] world to camera.
    inliers: [M] bool, the pairs that agree with it.
    """

    viewmat: Matrix
    inliers: npt.NDArray[np.bool_]


def solve_pnp(
    rays: Matrix, points: Matrix, tolerance: float, *, rounds: int = 500, seed: int = 0
) -> Pose | None:
    """The pose that most pairs agree with, by RANSAC (Fischler and Bolles 1981) over poses from three pairs,
    then by least squares on those that agree.

    Args:
        rays: [M, 3] directions in the camera's frame, of any length.
        points: [M, 3] in the world.
        tolerance: of the angle between where a point is seen and where it should be, radians.
        rounds: how many triples are tried.
        seed: of their choice.

    Returns:
        None where fewer than `FEWEST` pairs agree on any pose.
    """
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    if len(rays) < FEWEST:
        return None
    random = np.random.default_rng(seed)
    best, viewmat = np.zeros(len(rays), bool), np.eye(4)
    for _ in range(rounds):
        chosen = random.choice(len(rays), 3, replace=False)
        for candidate in three_points(rays[chosen], points[chosen]):
            agree = _angles(candidate, rays, points) < tolerance
            if agree.sum() > best.sum():
                best, viewmat = agree, candidate
    if best.sum() < FEWEST:
        return None
    viewmat = _refined(viewmat, rays[best], points[best])
    best = _angles(viewmat, rays, points) < tolerance
    return Pose(viewmat, best) if best.sum() >= FEWEST else None


def three_points(rays: Matrix, points: Matrix) -> list[Matrix]:
    """World-to-camera matrices [4, 4] under which points [3, 3] are seen along unit directions [3, 3]: at
    most four. Grunert's solution, with the coefficients of Haralick et al., "Review and Analysis of
    Solutions of the Three Point Perspective Pose Estimation Problem", 1994."""
    a2, b2, c2 = (float(((points[i] - points[j]) ** 2).sum()) for i, j in ((1, 2), (0, 2), (0, 1)))
    if min(a2, b2, c2) <= 0:
        return []
    cos_a, cos_b, cos_c = (float(rays[i] @ rays[j]) for i, j in ((1, 2), (0, 2), (0, 1)))
    d, e, f = (a2 - c2) / b2, (a2 + c2) / b2, c2 / b2
    g, h = a2 / b2, (b2 - a2) / b2
    quartic = [
        (d - 1) ** 2 - 4 * f * cos_a**2,
        4 * (d * (1 - d) * cos_b - (1 - e) * cos_a * cos_c + 2 * f * cos_a**2 * cos_b),
        2
        * (
            d**2 - 1 + 2 * d**2 * cos_b**2 + 2 * (1 - f) * cos_a**2 - 4 * e * cos_a * cos_b * cos_c
            + 2 * h * cos_c**2
        ),
        4 * (-d * (1 + d) * cos_b + 2 * g * cos_c**2 * cos_b - (1 - e) * cos_a * cos_c),
        (1 + d) ** 2 - 4 * g * cos_c**2,
    ]  # fmt: skip
    found = []
    for root in np.roots(quartic) if np.isfinite(quartic).all() else []:
        v = float(root.real)
        below = 2 * (cos_c - v * cos_a)
        if abs(root.imag) > 1e-6 * max(1, abs(v)) or v <= 0 or abs(below) < 1e-12:
            continue
        u = ((d - 1) * v * v - 2 * d * cos_b * v + 1 + d) / below
        square = b2 / max(1 + v * v - 2 * v * cos_b, 1e-300)
        if u <= 0:
            continue
        distances = np.sqrt(square) * np.array([1.0, u, v])
        found.append(_between(points, rays * distances[:, None]))
    return found


def _between(points: Matrix, seen: Matrix) -> Matrix:
    """The rigid motion [4, 4] that takes points [M, 3] closest to others (Kabsch 1976)."""
    middle, there = points.mean(axis=0), seen.mean(axis=0)
    left, _, right = np.linalg.svd((seen - there).T @ (points - middle))
    rotation = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    return rigid(rotation, there - rotation @ middle)


def _angles(viewmat: Matrix, rays: Matrix, points: Matrix) -> Matrix:
    """[M] between where points are seen and unit directions, radians; accurate for small ones."""
    seen = points @ viewmat[:3, :3].T + viewmat[:3, 3]
    angles: Matrix = np.arctan2(np.linalg.norm(np.cross(seen, rays), axis=1), (seen * rays).sum(axis=1))
    return angles


def _refined(viewmat: Matrix, rays: Matrix, points: Matrix) -> Matrix:
    """Least squares of the parts of seen directions across the given ones, by Gauss-Newton."""
    for _ in range(_ROUNDS):
        seen = points @ viewmat[:3, :3].T + viewmat[:3, 3]
        lengths = np.linalg.norm(seen, axis=1)
        unit = seen / lengths[:, None]
        residuals = np.cross(rays, unit)
        # d unit = (I - unit unit^T) / length d seen, and d seen = -[seen] w + v.
        across = (np.eye(3) - unit[:, :, None] * unit[:, None, :]) / lengths[:, None, None]
        by_seen = _hat(rays) @ across
        jacobian = np.concatenate([-by_seen @ _hat(seen), by_seen], axis=2).reshape(-1, 6)
        step = np.linalg.lstsq(jacobian, -residuals.reshape(-1), rcond=None)[0]
        viewmat = se3.exp(torch.from_numpy(step)).numpy() @ viewmat
        if np.abs(step).max() < 1e-12:
            break
    return viewmat


def _hat(vectors: Matrix) -> Matrix:
    """[M, 3, 3] matrices of cross products."""
    return se3.hat(torch.from_numpy(vectors)).numpy()
