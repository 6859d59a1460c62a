"""Which pixels triangles of the plane cover, and where in the triangle each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_PIXELS_AT_A_TIME = 1 << 20
_ROWS_AT_A_TIME = 1 << 19
_LEAST_AREA = 1e-6  # pixels; well above the rounding of products of coordinates up to 16384


class Covered(NamedTuple):
    """Pixels [P]: their columns and rows, their triangles, and barycentric coordinates [P, 3] in these, of
    the point of the triangle that is nearest by them: none is negative."""

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    faces: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]


def covered(
    triangles: npt.NDArray[np.float64], width: int, height: int, margin: float = 0.0
) -> Iterator[Covered]:
    """The pixels whose centres, at +0.5, are in a triangle or at most `margin` pixels beyond its edges.

    Row by row: each edge leaves a half of a row. Triangles without area, to rounding, cover nothing.
    Some at a time, by triangles in order, so the memory is bounded.

    Args:
        triangles: [F, 3, 2] x and y of the corners in pixels, turned either way.
    """
    triangles = np.asarray(triangles, np.float64)
    low, high = triangles.min(axis=1) - margin, triangles.max(axis=1) + margin
    first = np.clip(np.ceil(low[:, 1] - 0.5), 0, height).astype(np.int64)
    rows = np.maximum(np.clip(np.floor(high[:, 1] - 0.5), -1, height - 1).astype(np.int64) + 1 - first, 0)
    # Edge i is opposite to corner i: its function is twice the area of a point with that edge, 0 on it.
    ahead, behind = np.roll(triangles, -1, axis=1), np.roll(triangles, -2, axis=1)
    slopes = np.stack([ahead[..., 1] - behind[..., 1], behind[..., 0] - ahead[..., 0]], axis=2)
    areas = np.sum(slopes[:, 0] * (triangles[:, 0] - ahead[:, 0]), axis=1)
    rows[np.abs(areas) < _LEAST_AREA] = 0
    slopes *= np.where(areas < 0, -1, 1)[:, None, None]
    offsets = -np.sum(slopes * ahead, axis=2)
    lenient = offsets + margin * np.linalg.norm(slopes, axis=2)
    for start, stop in _groups(rows, _ROWS_AT_A_TIME):
        face, number = _repeated(rows[start:stop])
        face += start
        y = first[face] + number
        beyond = slopes[face, :, 1] * (y[:, None] + 0.5) + lenient[face]
        across = slopes[face, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = -beyond / across
        left = np.where(across > 0, ends, -np.inf).max(axis=1)
        right = np.where(across < 0, ends, np.inf).min(axis=1)
        left, right = np.maximum(left, low[face, 0]), np.minimum(right, high[face, 0])
        right[((across == 0) & (beyond < 0)).any(axis=1)] = -np.inf
        begin = np.clip(np.ceil(left - 0.5), 0, width).astype(np.int64)
        count = np.maximum(np.clip(np.floor(right - 0.5), -1, width - 1).astype(np.int64) + 1 - begin, 0)
        for head, tail in _groups(count, _PIXELS_AT_A_TIME):
            row, number = _repeated(count[head:tail])
            row += head
            x, of_face = begin[row] + number, face[row]
            places = np.stack([x, y[row]], axis=1) + 0.5
            weights = np.sum(slopes[of_face] * places[:, None], axis=2) + offsets[of_face]
            weights = np.maximum(weights, 0)
            yield Covered(x, y[row], of_face, weights / weights.sum(axis=1, keepdims=True))


def _groups(counts: npt.NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows whose counts add up to about `most`."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, before + most, side="right")), start + 1)
        yield start, stop
        start = stop


def _repeated(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Each row as often as its count, and which time it is."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
