"""Sparse points as structure from motion finds them: features of photographs, triangulated from noisy
measurements of matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cameras import Pinhole, View

Array = NDArray[Any]
Picture = NDArray[np.uint8]

MARGIN = 3.0  # features closer to the border are not detected, pixels


@dataclass(frozen=True)
class Tracks:
    """N points and M images.

    seen [N,M]; observed [N,M,2] pixels (only where seen); points [N,3]; colours [N,3]; errors [N], the mean
    reprojection error in pixels.
    """

    seen: NDArray[np.bool_]
    observed: Array
    points: Array
    colours: NDArray[np.uint8]
    errors: Array


def features(photograph: Picture, count: int, rng: np.random.Generator) -> Array:
    """Pixels [count,2]: three in four where the picture changes most, the rest anywhere."""
    width = photograph.shape[1]
    grey = photograph.astype(np.float64).mean(axis=2)
    slope = np.hypot(*np.gradient(grey))
    edge = int(MARGIN)
    inside = np.zeros_like(grey)
    inside[edge:-edge, edge:-edge] = 1
    weight = inside * (0.75 * slope / (slope * inside).sum() + 0.25 / inside.sum())
    flat = rng.choice(grey.size, size=count, replace=False, p=(weight / weight.sum()).ravel())
    return np.column_stack([flat % width, flat // width]) + rng.uniform(0, 1, (count, 2))


def triangulate(
    camera: Pinhole, views: list[View], seen: NDArray[np.bool_], observed: Array, steps: int = 6
) -> Array:
    """The points [N,3] of least squared reprojection error: closest to all rays first, then Gauss-Newton."""
    n = len(seen)
    normal, right = np.zeros((n, 3, 3)), np.zeros((n, 3))
    for m, view in enumerate(views):
        direction = camera.rays(observed[:, m]) @ view.rotation
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        across = (np.eye(3) - direction[:, :, None] * direction[:, None]) * seen[:, m, None, None]
        normal += across
        right += across @ view.centre
    points = np.linalg.solve(normal, right[..., None])[..., 0]
    for _ in range(steps):
        normal, right = np.zeros((n, 3, 3)), np.zeros((n, 3))
        for m, view in enumerate(views):
            local = view.to_camera(points)
            local[~seen[:, m]] = [0, 0, 1]
            projected = camera.project(local)
            jacobian = np.zeros((n, 2, 3))
            jacobian[:, 0, 0] = jacobian[:, 1, 1] = camera.focal / local[:, 2]
            jacobian[:, :, 2] = -camera.focal * local[:, :2] / local[:, 2:] ** 2
            jacobian = (jacobian @ view.rotation) * seen[:, m, None, None]
            residual = observed[:, m] - projected
            normal += jacobian.transpose(0, 2, 1) @ jacobian
            right += (jacobian.transpose(0, 2, 1) @ residual[..., None])[..., 0]
        points = points + np.linalg.solve(normal, right[..., None])[..., 0]
    return points


def colours(photographs: list[Picture], seen: NDArray[np.bool_], observed: Array) -> NDArray[np.uint8]:
    """The mean colour over the observations."""
    total = np.zeros((len(seen), 3))
    for m, photo in enumerate(photographs):
        column, row = np.floor(observed[seen[:, m], m]).astype(int).T
        total[seen[:, m]] += photo[row, column]
    return np.round(total / seen.sum(axis=1, keepdims=True)).astype(np.uint8)
