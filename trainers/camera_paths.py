"""Camera paths to look at a scene: around it, and as its photographers stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gsplat_core.scene.cameras import NEAR_PER_DISTANCE, Camera
from gsplat_core.scene.gaussians import Gaussians
from gsplat_core.scene.scale import focus

Vector = npt.NDArray[np.float64]

# Seen all around when no gap between neighbouring azimuths is wider than this.
LARGEST_GAP = np.radians(100)


@dataclass(frozen=True)
class Orbit:
    """A closed path on a sphere around `center`: an ellipse in azimuth and elevation, or a full circle.

    Angles are radians in the frame whose third axis is `up`; the camera always looks at the centre.
    """

    center: Vector
    up: Vector
    radius: float
    elevation: float
    azimuth: float = 0.0
    sway: float = np.pi
    """Half the range of azimuths; pi is the full circle."""

    def cameras(self, count: int, like: Camera) -> list[Camera]:
        """`count` cameras evenly along the path with the size and lens of `like`."""
        frame = _frame(self.up)
        turns = np.arange(count) / count * 2 * np.pi
        full = self.sway >= np.pi
        azimuths = self.azimuth + (turns if full else self.sway * np.sin(turns))
        elevations = self.elevation + (np.zeros(count) if full else 0.25 * self.sway * np.cos(turns))
        cameras = []
        for i, (azimuth, elevation) in enumerate(zip(azimuths, elevations, strict=True)):
            direction = frame @ np.array(
                [
                    np.cos(elevation) * np.cos(azimuth),
                    np.cos(elevation) * np.sin(azimuth),
                    np.sin(elevation),
                ]
            )
            viewmat = look_at(self.center + self.radius * direction, self.center, self.up)
            name, near = f"orbit_{i:04d}", NEAR_PER_DISTANCE * self.radius
            cameras.append(Camera(viewmat, like.K, like.width, like.height, name, near))
        return cameras


def look_at(position: Vector, target: Vector, up: Vector) -> Vector:
    """World-to-camera matrix [4, 4] (x right, y down, z forward) at `position`, facing `target`."""
    forward = _unit(target - position)
    right = np.cross(forward, up)
    if np.linalg.norm(right) < 1e-6:  # looking along `up`: any direction to the right will do
        right = _frame(forward)[:, 0]
    right = _unit(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ position
    return viewmat


def orbit_of_cameras(cameras: Sequence[Camera]) -> Orbit:
    """An orbit through the region that the cameras have seen.

    The centre is the point nearest to all optical axes, up is the mean of the cameras' up. When the cameras
    stand all around it, the orbit is a full circle; otherwise it sways inside the azimuths that they cover.
    """
    centers = np.stack([camera.center for camera in cameras])
    forwards = np.stack([camera.viewmat[2, :3] for camera in cameras])
    up = _unit(-np.mean([camera.viewmat[1, :3] for camera in cameras], axis=0))
    center = focus(centers, forwards)
    offsets = (centers - center) @ _frame(up)
    radii = np.linalg.norm(offsets, axis=1)
    elevations = np.arcsin(np.clip(offsets[:, 2] / np.maximum(radii, 1e-12), -1, 1))
    azimuth, half_range, gap = _covered_arc(np.arctan2(offsets[:, 1], offsets[:, 0]))
    full = gap <= LARGEST_GAP
    return Orbit(
        center=center,
        up=up,
        radius=float(np.median(radii)),
        elevation=float(np.median(elevations)),
        azimuth=azimuth,
        sway=np.pi if full else 0.7 * half_range,
    )


def orbit_of_gaussians(gaussians: Gaussians, up: Vector) -> Orbit:
    """An orbit around the bulk of a scene of which nothing but the Gaussians is known.

    Centre and size are medians weighted by opacity, so stray and background Gaussians do not matter.
    """
    means = gaussians.means.detach().double().cpu().numpy()
    weights = gaussians.opacities.detach().double().sigmoid().cpu().numpy()
    center = np.array([_weighted_quantile(means[:, axis], weights, 0.5) for axis in range(3)])
    distances = np.linalg.norm(means - center, axis=1)
    size = _weighted_quantile(distances, weights, 0.5)
    # Where all are in one place, cameras still have to differ from it in the digits that positions have.
    least = max(1e-6, 1e-7 * float(np.linalg.norm(center)))
    return Orbit(center=center, up=_unit(up), radius=max(2.5 * size, least), elevation=np.radians(15))


def views_around(
    gaussians: Gaussians, count: int, size: tuple[int, int], elevations: Sequence[float] = (15,)
) -> list[Camera]:
    """`count` cameras of an orbit around a scene without photographs for each elevation, in degrees; up is
    -y, as in COLMAP."""
    orbit = orbit_of_gaussians(gaussians, np.array([0.0, -1.0, 0.0]))
    lens = default_lens(*size)
    orbits = [replace(orbit, elevation=np.radians(elevation)) for elevation in elevations]
    return [camera for path in orbits for camera in path.cameras(count, lens)]


def default_lens(width: int, height: int) -> Camera:
    """A camera with a diagonal field of view of 60 degrees, for scenes without photographs."""
    focal = 0.5 * np.hypot(width, height) / np.tan(np.radians(30))
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(np.eye(4), K, width, height, "lens")


def _frame(up: Vector) -> Vector:
    """[3, 3] columns: two directions of the horizontal plane, and `up`."""
    helper = np.eye(3)[np.argmin(np.abs(up))]
    first = _unit(np.cross(helper, up))
    return np.stack([first, np.cross(up, first), up], axis=1)


def _unit(vector: Vector) -> Vector:
    return vector / np.linalg.norm(vector)


def _covered_arc(azimuths: Vector) -> tuple[float, float, float]:
    """Middle and half width of the smallest arc that holds all azimuths, and the gap that it leaves out."""
    ordered = np.sort(azimuths)
    gaps = np.diff(ordered, append=ordered[0] + 2 * np.pi)
    widest = int(np.argmax(gaps))
    start = ordered[(widest + 1) % len(ordered)]
    half = (2 * np.pi - gaps[widest]) / 2
    return float(start + half), float(half), float(gaps[widest])


def _weighted_quantile(values: Vector, weights: Vector, quantile: float) -> float:
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, quantile * cumulative[-1])])
