"""Sparse points as structure from motion finds them: features of the photographs, matched and triangulated.

The matches come from the true surface, so there are no outliers; the positions come from noisy observations.
"""

from __future__ import annotations

from typing import Any

import mitsuba as mi
import numpy as np
from colmap_model.cameras import View
from colmap_model.tracks import MARGIN, Tracks, colours, features, triangulate
from numpy.typing import NDArray

from .cameras import CAMERA

Array = NDArray[Any]
Photograph = NDArray[np.uint8]

DETECTION_NOISE = 0.3  # standard deviation of a feature's position, pixels per axis
LONGEST_TRACK, SHORTEST_TRACK = 7, 3


def _hits(scene: Any, view: View, pixels: Array) -> tuple[Array, Array]:
    """Where the rays through `pixels` meet the scene: points and normals [K,3]."""
    direction = CAMERA.rays(pixels) @ view.rotation
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    ray = mi.Ray3f(mi.Point3f(view.centre), mi.Vector3f(direction.T))
    hit = scene.ray_intersect(ray)
    found = np.array(hit.is_valid())
    return np.array(hit.p).T[found], np.array(hit.n).T[found]


def _visible(scene: Any, view: View, points: Array, normals: Array) -> NDArray[np.bool_]:
    """Which points [N,3] are inside the picture, not at a grazing angle, with nothing in between."""
    local = view.to_camera(points)
    pixels = CAMERA.project(local)
    inside = (local[:, 2] > 0.1) & np.all(
        (pixels > MARGIN) & (pixels < np.array([CAMERA.width, CAMERA.height]) - MARGIN), axis=1
    )
    away = points - view.centre
    distance = np.linalg.norm(away, axis=1)
    facing = np.abs((away * normals).sum(axis=1)) > 0.2 * distance
    ray = mi.Ray3f(mi.Point3f(view.centre), mi.Vector3f((away / distance[:, None]).T))
    ray.maxt = mi.Float(distance * (1 - 1e-3))
    return inside & facing & ~np.array(scene.ray_test(ray))


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

    exact = np.stack([CAMERA.project(view.to_camera(surface)) for view in cameras], axis=1)
    observed = exact + rng.normal(0, DETECTION_NOISE, exact.shape)
    points = triangulate(CAMERA, cameras, seen, observed)
    residual = np.stack([CAMERA.project(view.to_camera(points)) for view in cameras], axis=1) - observed
    errors = (np.linalg.norm(residual, axis=2) * seen).sum(axis=1) / seen.sum(axis=1)
    shift = np.linalg.norm(points - surface, axis=1)
    print(f"{len(points)} points, median distance from the true surface point {np.median(shift):.5f}")
    return Tracks(seen, observed, points, colours(photographs, seen, observed), errors)
