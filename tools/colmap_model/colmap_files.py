"""Writes cameras.bin, images.bin and points3D.bin (little-endian, https://colmap.github.io/format.html)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cameras import Pinhole, View
from .tracks import Tracks

PINHOLE = 1
NO_POINT = -1

Array = NDArray[Any]


def quaternion(rotation: Array) -> Array:
    """(w, x, y, z) with w >= 0: the leading eigenvector of Bar-Itzhack's symmetric matrix (2000)."""
    r = rotation
    k = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    q = np.linalg.eigh(k)[1][:, -1]
    return q if q[0] >= 0 else -q


def write(folder: Path, camera: Pinhole, views: list[View], tracks: Tracks, unmatched: list[Array]) -> None:
    """One camera for all images; `unmatched` are each image's features [K,2] without a point.

    Ids count from 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    width, height, focal = camera.width, camera.height, camera.focal
    lens = (PINHOLE, width, height, focal, focal, width / 2, height / 2)
    (folder / "cameras.bin").write_bytes(struct.pack("<QiiQQ4d", 1, 1, *lens))

    images = [struct.pack("<Q", len(views))]
    place = np.full(tracks.seen.shape, -1)
    for m, view in enumerate(views):
        points = np.flatnonzero(tracks.seen[:, m])
        place[points, m] = np.arange(len(points))
        pose = (*quaternion(view.rotation), *view.translation)
        images.append(struct.pack("<i7di", m + 1, *pose, 1) + view.name.encode() + b"\0")
        features = np.concatenate([tracks.observed[points, m], unmatched[m]])
        ids = np.concatenate([points + 1, np.full(len(unmatched[m]), NO_POINT)])
        images.append(struct.pack("<Q", len(ids)))
        images += [struct.pack("<ddq", x, y, i) for (x, y), i in zip(features, ids, strict=True)]
    (folder / "images.bin").write_bytes(b"".join(images))

    rows = [struct.pack("<Q", len(tracks.points))]
    for n, (xyz, rgb, error) in enumerate(zip(tracks.points, tracks.colours, tracks.errors, strict=True)):
        where = np.flatnonzero(tracks.seen[n])
        rows.append(struct.pack("<Q3d3BdQ", n + 1, *xyz, *rgb, error, len(where)))
        rows += [struct.pack("<ii", m + 1, place[n, m]) for m in where]
    (folder / "points3D.bin").write_bytes(b"".join(rows))
