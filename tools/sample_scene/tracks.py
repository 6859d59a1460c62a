"""Sparse points as structure from motion finds them: features of the photographs, matched and triangulated.

The matches come from the true surface, so there are no outliers; the positions come from noisy observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mitsuba as mi
import numpy as np
from numpy.typing import NDArray

from .cameras import FOCAL, HEIGHT, WIDTH, View, project, rays

Array = NDArray[Any]
Photograph = NDArray[np.uint8]

DETECTION_NOISE = 0.3  # standard deviation of a feature's position, pixels per axis
LONGEST_TRACK, SHORTEST_TRACK = 7, 3
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


def features(photograph: Photograph, count: int, rng: np.random.Generator) -> Array:
    """Pixels [count,2]: three in four where the picture changes most, the rest anywhere."""
    grey = photograph.astype(np.float64).mean(axis=2)
    slope = np.hypot(*np.gradient(grey))
    edge = int(MARGIN)
    inside = np.zeros_like(grey)
    inside[edge:-edge, edge:-edge] = 1
    weight = inside * (0.75 * slope / (slope * inside).sum() + 0.25 / inside.sum())
    flat = rng.choice(grey.size, size=count, replace=False, p=(weight / weight.sum()).ravel())
    return np.column_stack([flat % WIDTH, flat // WIDTH]) + rng.uniform(0, 1, (count, 2))


def _hits(scene: Any, view: View, pixels: Array) -> tuple[Array, Array]:
    """Where the rays through `pixels` meet the scene: points and normals [K,3]."""
    direction = rays(pixels) @ view.rotation
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    ray = mi.Ray3f(mi.Point3f(view.centre), mi.Vector3f(direction.T))
    hit = scene.ray_intersect(ray)
    found = np.array(hit.is_valid())
    return np.array(hit.p).T[found], np.array(hit.n).T[found]


def _visible(scene: Any, view: View, points: Array, normals: Array) -> NDArray[np.bool_]:
    """Which points [N,3] are inside the picture, not at a grazing angle, with nothing in between."""
    local = view.to_camera(points)
    pixels = project(local)
    inside = (local[:, 2] > 0.1) & np.all(
        (pixels > MARGIN) & (pixels < np.array([WIDTH, HEIGHT]) - MARGIN), axis=1
    )
    away = points - view.centre
    distance = np.linalg.norm(away, axis=1)
    facing = np.abs((away * normals).sum(axis=1)) > 0.2 * distance
    ray = mi.Ray3f(mi.Point3f(view.centre), mi.Vector3f((away / distance[:, None]).T))
    ray.maxt = mi.Float(distance * (1 - 1e-3))
    return inside & facing & ~np.array(scene.ray_test(ray))


def triangulate(cameras: list[View], seen: NDArray[np.bool_], observed: Array, steps: int = 6) -> Array:
    """The points [N,3] of least squared reprojection error: closest to all rays first, then Gauss-Newton."""
    n = len(seen)
    normal, right = np.zeros((n, 3, 3)), np.zeros((n, 3))
    for m, view in enumerate(cameras):
        direction = rays(observed[:, m]) @ view.rotation
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        across = (np.eye(3) - direction[:, :, None] * direction[:, None]) * seen[:, m, None, None]
        normal += across
        right += across @ view.centre
    points = np.linalg.solve(normal, right[..., None])[..., 0]
    for _ in range(steps):
        normal, right = np.zeros((n, 3, 3)), np.zeros((n, 3))
        for m, view in enumerate(cameras):
            local = view.to_camera(points)
            local[~seen[:, m]] = [0, 0, 1]
            projected = project(local)
            jacobian = np.zeros((n, 2, 3))
            jacobian[:, 0, 0] = jacobian[:, 1, 1] = FOCAL / local[:, 2]
            jacobian[:, :, 2] = -FOCAL * local[:, :2] / local[:, 2:] ** 2
            jacobian = (jacobian @ view.rotation) * seen[:, m, None, None]
            residual = observed[:, m] - projected
            normal += jacobian.transpose(0, 2, 1) @ jacobian
            right += (jacobian.transpose(0, 2, 1) @ residual[..., None])[..., 0]
        points = points + np.linalg.solve(normal, right[..., None])[..., 0]
    return points


def find(scene: Any, cameras: list[View], photographs: list[Photograph], per_view: int, seed: int) -> Tracks:
    """About `per_view` points for each photograph, tracked through the views from similar directions."""
    rng = np.random.default_rng(seed)
    hits = [
        _hits(scene, view, features(photo, per_view, rng))
        for view, photo in zip(cameras, photographs, strict=True)
    ]
    source = np.repeat(np.arange(len(cameras)), [len(points) for points, _ in hits])
    surface, normals = (np.concatenate(column) for column in zip(*hits, strict=True))

    seen = np.stack([_visible(scene, view, surface, normals) for view in cameras], axis=1)
    seen &= rng.random(seen.shape) < 0.85  # now and then a feature is missed
    looks = surface[:, None] - np.stack([view.centre for view in cameras])
    looks /= np.linalg.norm(looks, axis=2, keepdims=True)
    likeness = np.einsum("nmk,nk->nm", looks, looks[np.arange(len(source)), source])
    rank = np.argsort(np.argsort(-np.where(seen, likeness, -2), axis=1), axis=1)
    seen &= rank < LONGEST_TRACK
    keep = seen.sum(axis=1) >= SHORTEST_TRACK
    seen, surface = seen[keep], surface[keep]

    exact = np.stack([project(view.to_camera(surface)) for view in cameras], axis=1)
    observed = exact + rng.normal(0, DETECTION_NOISE, exact.shape)
    points = triangulate(cameras, seen, observed)
    residual = np.stack([project(view.to_camera(points)) for view in cameras], axis=1) - observed
    errors = (np.linalg.norm(residual, axis=2) * seen).sum(axis=1) / seen.sum(axis=1)
    shift = np.linalg.norm(points - surface, axis=1)
    print(f"{len(points)} points, median distance from the true surface point {np.median(shift):.5f}")
    return Tracks(seen, observed, points, _colours(photographs, seen, observed), errors)


def _colours(photographs: list[Photograph], seen: NDArray[np.bool_], observed: Array) -> NDArray[np.uint8]:
    """The mean colour over the observations."""
    total = np.zeros((len(seen), 3))
    for m, photo in enumerate(photographs):
        column, row = np.floor(observed[seen[:, m], m]).astype(int).T
        total[seen[:, m]] += photo[row, column]
    return np.round(total / seen.sum(axis=1, keepdims=True)).astype(np.uint8)
