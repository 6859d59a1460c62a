"""The points of a scene: features of the photographs, found again in other views where the true surface is
visible from there. There are no outliers; positions come from noisy observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from colmap_model.cameras import Pinhole, View
from colmap_model.tracks import MARGIN, Tracks, colours, features, triangulate
from numpy.typing import NDArray

from .capture import SUPERSAMPLING, Photograph

Array = NDArray[Any]

DETECTION_NOISE = 0.4  # standard deviation of a feature's position, pixels per axis
LONGEST_TRACK, SHORTEST_TRACK = 9, 2
LARGEST_ERROR = 2.0  # of a point's projections, pixels


def _part(pixels: Array) -> tuple[Array, Array]:
    """Row and column of the parts of pixels that the depth is known of."""
    column, row = np.floor(SUPERSAMPLING * pixels).astype(int).T
    return row, column


def _surface(
    camera: Pinhole, view: View, photo: Photograph, pixels: Array, rng: np.random.Generator
) -> Array:
    """The points [K,3] that features show, of those that are found again."""
    row, column = _part(pixels)
    found = rng.random(len(pixels)) < photo.likely[row, column]
    row, column = row[found], column[found]
    exact = (np.column_stack([column, row]) + 0.5) / SUPERSAMPLING
    local = camera.rays(exact) * photo.depth[row, column, None].astype(np.float64)
    return (local - view.translation) @ view.rotation


def _visible(camera: Pinhole, view: View, photo: Photograph, points: Array) -> NDArray[np.bool_]:
    """Which points [N,3] are inside the picture with nothing in between."""
    local = view.to_camera(points)
    local[local[:, 2] < 1e-6] = [1e9, 0, 1]
    pixels = camera.project(local)
    inside = np.all((pixels > MARGIN) & (pixels < np.array([camera.width, camera.height]) - MARGIN), axis=1)
    row, column = _part(np.where(inside[:, None], pixels, MARGIN))
    return inside & (np.abs(photo.depth[row, column] / local[:, 2] - 1) < 0.01)


def find(
    camera: Pinhole,
    views: list[View],
    photographs: list[Photograph],
    count: int,
    smallest_angle: float,
    seed: int,
) -> tuple[Tracks, list[Array]]:
    """About `count` points, tracked through the views from similar directions; and each photograph's features
    [K,2] without a point. Rays of a point are at least `smallest_angle` degrees apart."""
    rng = np.random.default_rng(seed)
    surface, source = [], []
    for m, (view, photo) in enumerate(zip(views, photographs, strict=True)):
        pixels = features(photo.picture, 3 * count // len(views), rng)
        surface.append(_surface(camera, view, photo, pixels, rng))
        source.append(np.full(len(surface[-1]), m))
    points, origin = np.concatenate(surface), np.concatenate(source)

    seen = np.stack(
        [_visible(camera, v, photo, points) for v, photo in zip(views, photographs, strict=True)], axis=1
    )
    seen &= rng.random(seen.shape) < 0.8  # now and then a feature is missed
    looks = points[:, None] - np.stack([view.centre for view in views])
    looks /= np.linalg.norm(looks, axis=2, keepdims=True)
    likeness = np.einsum("nmk,nk->nm", looks, looks[np.arange(len(origin)), origin])
    longest = rng.integers(SHORTEST_TRACK, LONGEST_TRACK + 1, len(points))
    # A track follows a surface through neighbouring photographs, in no strict order.
    order = np.where(seen, np.arccos(np.clip(likeness, -1, 1)) * rng.uniform(0.3, 1, seen.shape), 10)
    seen &= np.argsort(np.argsort(order, axis=1), axis=1) < longest[:, None]
    angles = np.arccos(np.clip(np.where(seen, likeness, 1).min(axis=1), -1, 1))
    keep = (seen.sum(axis=1) >= SHORTEST_TRACK) & (angles > np.radians(smallest_angle))
    chosen = np.flatnonzero(keep)
    chosen = np.sort(rng.permutation(chosen)[:count])
    seen, truth = seen[chosen], points[chosen]

    exact = np.stack([camera.project(view.to_camera(truth)) for view in views], axis=1)
    observed = exact + rng.normal(0, DETECTION_NOISE, exact.shape)
    points = triangulate(camera, views, seen, observed)
    local = np.stack([view.to_camera(points) for view in views], axis=1)
    residual = np.linalg.norm(camera.project(local) - observed, axis=2)
    errors = (residual * seen).sum(axis=1) / seen.sum(axis=1)
    good = (np.where(seen, local[..., 2], 1) > 0).all(axis=1) & (errors < LARGEST_ERROR)
    seen, observed, points = seen[good], observed[good], points[good]
    pictures = [photo.picture for photo in photographs]
    unmatched = [features(picture, 2 * count // len(views), rng) for picture in pictures]
    return Tracks(seen, observed, points, colours(pictures, seen, observed), errors[good]), unmatched
