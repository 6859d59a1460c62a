"""Which boxes a camera may see: all of those that hold a Gaussian that its image shows, and few others.

A box holds the centres of Gaussians, none of which is seen farther from its centre than `reach`. For cameras
whose pixels are linear in x / z (pinhole) or x (orthographic) the test is that of the rasterizer, solved for
the box: a splat of the linearization (EWA) touches the image where

    f x / z + c + f r sqrt(1 + s^2) / z + m >= 0,

with the reach r, the steepest slope s at which the Jacobian is taken (15 % beyond the image,
`csrc/math/camera_model.h`) and the screen's filter m in pixels; times z that is linear, and so largest in a
corner of the box. Fisheye lenses see a cone; lenses that bend rays little are pinhole cameras around their
image with twice the reach. All-round cameras, others, and splats of the unscented transform, which nothing
bounds so simply: whatever is in front, or anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gsplat_core.scene.cameras import Camera
from gsplat_core.scene.metadata import Metadata
from gsplat_core.scene.optics import optics_of
from gsplat_core.store.reach import WIDEST

Matrix = npt.NDArray[np.float64]
Seen = npt.NDArray[np.bool_]

JACOBIAN_MARGIN = 0.15
_PIXELS = 3.0
"""Of rounding, of the pixel's window, of the filter of surfels (standard deviation 0.7)."""
_BENT = 2.0


@dataclass(frozen=True)
class Boxes:
    """[M] boxes in space.

    Args:
        low, high: [M, 3] corners.
        reach: [M] how far from them something may be seen.
    """

    low: Matrix
    high: Matrix
    reach: Matrix

    def highest(self, direction: Matrix) -> Matrix:
        """[M] the largest value of `direction` @ x in each box."""
        largest: Matrix = np.where(direction > 0, self.high, self.low) @ direction
        return largest


def may_see(camera: Camera, boxes: Boxes, drawn: Metadata) -> Seen:
    """[M] whether an image of this camera may show something of what is in each box.

    Args:
        drawn: how the scene is drawn: the variance of the screen's filter, and by which footprint.
    """
    if drawn.unscented:
        return _in_front(camera, boxes) if camera.model in _FLAT else np.ones(len(boxes.reach), bool)
    margin = WIDEST * np.sqrt(drawn.eps2d) + _PIXELS
    return _MODELS.get(camera.model, _anything)(camera, boxes, float(margin))


def _in_front(camera: Camera, boxes: Boxes) -> Seen:
    rotation, translation = camera.viewmat[:3, :3], camera.viewmat[:3, 3]
    seen: Seen = boxes.highest(rotation[2]) + translation[2] + boxes.reach >= camera.near
    return seen


def _pinhole(camera: Camera, boxes: Boxes, margin: float) -> Seen:
    size = (camera.width, camera.height)
    low = [-(camera.K[axis, 2] + margin) / camera.K[axis, axis] for axis in (0, 1)]
    high = [(size[axis] - camera.K[axis, 2] + margin) / camera.K[axis, axis] for axis in (0, 1)]
    wider = [JACOBIAN_MARGIN * size[axis] / camera.K[axis, axis] for axis in (0, 1)]
    return _between_slopes(camera, boxes, low, high, wider)


def _opencv(camera: Camera, boxes: Boxes, margin: float) -> Seen:
    slopes = _border_rays(camera, margin)[:, :2]
    low, high = np.nanmin(slopes, axis=0), np.nanmax(slopes, axis=0)
    # Where no ray reaches the border, it sees up to there and no farther.
    wide = high - low
    reach = Boxes(boxes.low, boxes.high, _BENT * boxes.reach)
    return _between_slopes(camera, reach, list(low), list(high), list(JACOBIAN_MARGIN * wide))


def _between_slopes(
    camera: Camera, boxes: Boxes, low: list[float], high: list[float], wider: list[float]
) -> Seen:
    """Of the slopes x / z and y / z from `low` to `high`, where Jacobians are taken that much wider."""
    rotation, translation = camera.viewmat[:3, :3], camera.viewmat[:3, 3]
    seen = _in_front(camera, boxes)
    for axis in (0, 1):
        steepest = max(abs(low[axis]), abs(high[axis])) + wider[axis]
        reach = boxes.reach * np.sqrt(1 + steepest**2)
        for sign, bound in ((1.0, -low[axis]), (-1.0, high[axis])):
            direction = sign * rotation[axis] + bound * rotation[2]
            offset = sign * translation[axis] + bound * translation[2]
            seen &= boxes.highest(direction) + offset + reach >= 0
    return seen


def _ortho(camera: Camera, boxes: Boxes, margin: float) -> Seen:
    rotation, translation = camera.viewmat[:3, :3], camera.viewmat[:3, 3]
    seen = _in_front(camera, boxes)
    for axis, size in ((0, camera.width), (1, camera.height)):
        focal, middle = camera.K[axis, axis], camera.K[axis, 2]
        for sign, room in ((1.0, middle + margin), (-1.0, size - middle + margin)):
            direction = sign * rotation[axis]
            edge = boxes.highest(direction) + sign * translation[axis] + boxes.reach
            seen &= focal * edge + room >= 0
    return seen


def _fisheye(camera: Camera, boxes: Boxes, margin: float) -> Seen:
    rays = _border_rays(camera, margin)
    if not np.isfinite(rays).all():  # its image shows all that it sees
        return _anything(camera, boxes, margin)
    widest = float(np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2]).max())
    # Around the axis a lens stretches what is far from it, the more the nearer to straight behind.
    stretched = max(_BENT, 1.5 * widest / max(float(np.sin(widest)), 0.05))
    middle = (boxes.low + boxes.high) / 2 @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    radius = np.linalg.norm(boxes.high - boxes.low, axis=1) / 2 + stretched * boxes.reach
    distance = np.linalg.norm(middle, axis=1)
    angle = np.arctan2(np.hypot(middle[:, 0], middle[:, 1]), middle[:, 2])
    with np.errstate(divide="ignore", invalid="ignore"):
        around = np.where(distance > radius, np.arcsin(np.minimum(radius / distance, 1)), np.pi)
    seen: Seen = angle - around <= widest
    return seen


def _anything(camera: Camera, boxes: Boxes, margin: float) -> Seen:
    return np.ones(len(boxes.reach), bool)


def _border_rays(camera: Camera, margin: float) -> Matrix:
    """[n, 3] where pixels look that are `margin` outside the image; NaN where no ray is."""
    x = np.linspace(-margin, camera.width + margin, 65)
    y = np.linspace(-margin, camera.height + margin, 65)
    columns = np.concatenate([x, x, np.full(65, x[0]), np.full(65, x[-1])])
    rows = np.concatenate([np.full(65, y[0]), np.full(65, y[-1]), y, y])
    return optics_of(camera).rays(np.stack([columns, rows], axis=1))


_FLAT = ("pinhole", "opencv", "ortho")
_MODELS: dict[str, Callable[[Camera, Boxes, float], Seen]] = {
    "pinhole": _pinhole,
    "opencv": _opencv,
    "ortho": _ortho,
    "fisheye": _fisheye,
}
