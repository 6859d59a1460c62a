"""Poses from which `gsplat_core.apps.localize` may start: of cameras that see the same, and from pairs of
pixels that another program has matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gsplat_core.apps.localize import Query
from gsplat_core.losses import as_float
from gsplat_core.pnp import solve_pnp
from gsplat_core.render.drawing import Outputs
from gsplat_core.render.scene import render
from gsplat_core.render.settings import USUAL, RenderSettings
from gsplat_core.scene.cameras import Camera, Matrix
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.optics import optics_of

_THUMBNAIL = 32  # pixels along the longer side
_LEAST_ALPHA = 0.5  # of a pixel whose depth is that of something


class Matched(NamedTuple):
    """A pose [4, 4] and how many of how many matches agree with it."""

    viewmat: Matrix
    agreeing: int
    matches: int


def nearest(
    scene: Gaussians,
    image: Tensor,
    camera: Camera,
    poses: Sequence[Matrix],
    count: int,
    *,
    settings: RenderSettings = USUAL,
    background: Tensor | None = None,
) -> list[Matrix]:
    """Those of many poses [4, 4] from where the scene looks most like a photograph, the best first: by the
    correlation of thumbnails, which are rendered with the photograph's lens.

    Args:
        scene, image, camera, settings, background: as for :func:`gsplat_core.apps.localize.localize`; the
            camera's pose does not matter.
        count: how many.
    """
    device = scene.means.device
    query = Query(as_float(image.to(device)), camera).shrunk(_THUMBNAIL)
    truth, alike = _standardized(query.image), []
    for pose in poses:
        with torch.no_grad():
            seen = render(scene, query.camera_at(pose), settings, background=background).colors[0]
        alike.append(float((_standardized(seen) * truth).mean()))
    return [poses[i] for i in np.argsort(alike, kind="stable")[::-1][:count]]


def from_matches(
    scene: Gaussians,
    camera: Camera,
    matches: Matrix,
    *,
    tolerance: float = 3.0,
    settings: RenderSettings = USUAL,
) -> Matched | None:
    """A pose from correspondences: points whose places in the world are known, or are lifted from a rendering
    by its depths, by :func:`gsplat_core.pnp.solve_pnp`.

    Args:
        scene, settings: as for :func:`gsplat_core.apps.localize.localize`.
        camera: the photograph's lens, at the pose from which the scene was rendered to be matched.
        matches: [M, 4] pixels (x, y) of the photograph, and where that rendering, of the same size, shows the
            same; or [M, 5] pixels of the photograph, and points (x, y, z) in the world. The middle of the
            first pixel is (0.5, 0.5).
        tolerance: pixels by which a match may be off.

    Returns:
        None where too few matches agree on any pose.
    """
    rays = optics_of(camera).rays(matches[:, :2])
    points = matches[:, 2:] if matches.shape[1] == 5 else _lifted(scene, camera, matches[:, 2:], settings)
    known = np.isfinite(rays).all(axis=1) & np.isfinite(points).all(axis=1)
    pose = solve_pnp(rays[known], points[known], tolerance / float(camera.K[0, 0]))
    return None if pose is None else Matched(pose.viewmat, int(pose.inliers.sum()), len(matches))


def _lifted(scene: Gaussians, camera: Camera, pixels: Matrix, settings: RenderSettings) -> Matrix:
    """[M, 3] the points in the world that pixels [M, 2] of a rendering show; NaN where they show none."""
    with torch.no_grad():
        rendered = render(scene, camera, settings, outputs=Outputs(colors=False, depth="expected"))
    depths = rendered.depths[0].where(rendered.alphas[0, ..., 0] >= _LEAST_ALPHA, torch.nan)
    places: npt.NDArray[np.int64] = np.floor(pixels).astype(np.int64)
    inside = ((places >= 0) & (places < (camera.width, camera.height))).all(axis=1)
    x, y = places.clip(0, (camera.width - 1, camera.height - 1)).T
    distances = np.where(inside, depths.cpu().double().numpy()[y, x], np.nan)
    seen = optics_of(camera).rays(pixels) * distances[:, None]
    points: Matrix = (seen - camera.viewmat[:3, 3]) @ camera.viewmat[:3, :3]
    return points


def _standardized(image: Tensor) -> Tensor:
    """Of a mean of 0 and a variance of 1: exposure does not matter."""
    return (image - image.mean()) / image.std().clamp(min=1e-6)
